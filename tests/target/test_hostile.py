"""Words, variables and output that are out to do harm arrive as they are, on every backend."""

import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.machines import require
from support.real_targets import RealRun, target
from support.suites import run

from pytest_bgcheck.arguments import make_check
from pytest_bgcheck.errors import WrongUse
from pytest_bgcheck.model import State
from pytest_bgcheck.target import cleaner
from pytest_bgcheck.target.records import Target

# The same on every Python.
pytestmark = pytest.mark.once

BACKENDS = ("local", "ssh", "safe-ssh", "paramiko", "docker", "chroot", "ansible", "force-ansible")


def place_of(request: pytest.FixtureRequest, kind: str) -> Target:
    match kind:
        case "local":
            return target("local://")
        case "docker":
            return target(f"docker://{request.getfixturevalue('docker_container').name}")
        case "chroot":
            path = request.getfixturevalue("chroot_dir").path
            return target(str(path), connection="chroot")
    server = request.getfixturevalue("ssh_server")
    if kind in ("ansible", "force-ansible"):
        require(shutil.which("ansible") is not None, "ansible", "pip install ansible-core")
        inventory = request.getfixturevalue("tmp_path") / "inventory"
        inventory.write_text(
            f"[web]\ntarget ansible_ssh_common_args='-F {server.client_config}'"
            f" ansible_python_interpreter={sys.executable}\n"
        )
        force = kind == "force-ansible"
        name = ", Ansible's own" if force else ""
        return target(
            "ansible://target", name, ansible_inventory=str(inventory), force_ansible=force
        )
    if kind == "paramiko":
        pytest.importorskip("paramiko")
    return target(f"{kind}://target", ssh_config=str(server.client_config))


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Target:
    if "ansible" in request.param:
        # To start Ansible takes seconds of CPU: longer, on a busy computer, than a run's end has.
        monkeypatch.setattr(cleaner, "CLEAN_S", 60.0)
    return place_of(request, request.param)


@pytest.fixture
def real_run() -> Iterator[RealRun]:
    ours = RealRun("/tmp")  # there is one in a chroot too
    yield ours
    ours.close()


HOSTILE = [
    "", " ", "'", '"', "\\", "\\\\", "\\'", "`id`", "$(id)", "$HOME", "${x}", "%s", "%n%%", "*",
    "?", "[a-z]", "~", "!!", "-n", "--", "-e", "-", "=", "a=b", "\n", "\r\n", "\t", "\x01\x7f",
    "\x1b[31m", "{{ x }}", "{% x %}", "{# x #}", "#", ";", "&", "|", ">", "<", "(", "ü€😀",
    "\udcff\udcfe", "EOF", "# end", ".", "\\n", "\\0101", "\\c", "'\\''", "a\nb\n",
]  # fmt: skip
text = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE), max_size=6).map("".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
)
argvs = st.lists(text, max_size=6)
names = st.one_of(
    st.from_regex(r"[A-Z_][A-Za-z0-9_]{2,8}", fullmatch=True).filter(
        lambda name: not name.startswith(("LD_", "PYTEST_"))
    ),
    st.sampled_from(
        ["UID", "EUID", "PPID", "IFS", "RANDOM", "SECONDS", "LINENO", "OPTIND", "HOME", "PWD",
         "job", "id", "sh", "run", "setsid", "CDPATH", "ENV", "PS4", "SHELLOPTS", "GLOBIGNORE"]
    ),
)  # fmt: skip
environments = st.dictionaries(names, text, max_size=5)
batches = st.lists(st.tuples(argvs, environments), min_size=1, max_size=10)
Batch = list[tuple[list[str], dict[str, str]]]


def raw(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def round_trip(place: Target, batch: Batch) -> None:
    """Have all words and variables of a batch told, by one start and one wait."""
    real_run = RealRun("/tmp")
    wanted: list[tuple[Target, object, str, dict[str, object]]] = []
    for number, (argv, env) in enumerate(batch):
        wanted.append((place, ["printf", "%s\\0", *argv], f"a{number}", {}))
        wanted.append((place, ["cat", "/proc/self/environ"], f"e{number}", {"env": env}))
    results = real_run.results(real_run.submit_all(wanted))
    assert {result.state for result in results} == {State.SUCCEEDED}, results
    for (argv, env), words, variables in zip(batch, results[::2], results[1::2], strict=True):
        assert words.stdout_bytes == b"".join(raw(word) + b"\0" for word in argv or [""])
        told = variables.stdout_bytes.split(b"\0")
        for name, value in env.items():
            assert [line for line in told if line.startswith(raw(f"{name}="))] == [
                raw(f"{name}={value}")
            ]
    assert real_run.close() == []


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches)
def test_any_words_and_variables_arrive_here(batch: Batch) -> None:
    round_trip(target("local://"), batch)


def test_words_and_variables_arrive_on_every_backend(place: Target) -> None:
    round_trip(place, [(HOSTILE[n : n + 8], {"UID": word, "job": word}) for n, word in
                       enumerate(HOSTILE)][::5])  # fmt: skip


LONG = 120_000


def test_120_kB_arrive_on_every_backend(real_run: RealRun, place: Target) -> None:
    """In one word, one variable, a command's text, many words; and what is hard to send."""
    hard = "'\"\\é\n" * (LONG // 6)
    wanted: list[tuple[Target, object, str, dict[str, object]]] = (
        [
            (place, ["printf", "%s", "x" * LONG], "word", {}),
            (place, ["printf", "%s", hard], "hard", {}),
            (place, ": " + "y" * LONG + "; echo end", "text", {}),
            (place, ["printf", "%s", *["z" * 1000] * 120], "words", {}),
            (place, "printf %s \"$V\"", "env", {"env": {"V": "v" * LONG}}),
        ]
    )  # fmt: skip
    if place.label.endswith("Ansible's own"):
        del wanted[1:]  # each call takes some seconds
    jobs = real_run.submit_all(wanted)
    results = real_run.results(jobs)
    assert [r.rc for r in results] == [0] * len(jobs), results
    told = [r.stdout_bytes for r in results]
    expected = ["x" * LONG, hard, "end\n", "z" * LONG, "v" * LONG]
    assert [len(t) for t in told] == [len(raw(e)) for e in expected[: len(told)]]
    assert told == [raw(e) for e in expected[: len(told)]]


def test_a_program_with_an_equals_sign_is_run_with_variables_too(
    real_run: RealRun, tmp_path: Path
) -> None:
    program = tmp_path / "a=b"
    program.write_text('#!/bin/sh\nprintf "%s" "$X"\n')
    program.chmod(0o755)
    result = real_run.result(real_run.submit(target("local://"), [str(program)], env={"X": "y"}))
    assert result.stdout == "y"


@pytest.mark.parametrize("given", [{"env": {"A": "\ud800"}}, {"cwd": "/\ud800"}])
def test_what_cannot_be_encoded_is_wrong_use_and_not_shown(given: dict[str, object]) -> None:
    with pytest.raises(WrongUse, match="contains characters that cannot be encoded"):
        make_check("c", "true", given, timeout_s=1, directory=Path())


def test_a_longer_word_than_a_program_takes_is_wrong_use_by_name(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, conftest="c = background_check('true', env={'BIG': 'x' * 131072})",
                 test_it="def test(): pass")  # fmt: skip
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *'c': env[[]'BIG'[]] is too long*131,071 bytes*"])


# --- output ---------------------------------------------------------------------------------------

WILD = r"printf 'a\033[31mred\033[2J\rover\000nul\377\376\302\r\nlast\007\033]0;title\007'"


def test_wild_output_is_exact_in_the_result_and_tame_in_terminal_and_junit(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester, "--junitxml=j.xml", "-p", "no:cacheprovider",
        test_it=f"c = background_check({WILD + '; exit 3'!r})\n"
        "@pytest.mark.bgcheck('c')\ndef test_c(): pass\n"
        "def test_exact(c):\n"
        "    wild = b'a\\x1b[31mred\\x1b[2J\\rover\\0nul\\xff\\xfe\\xc2\\r\\n'\n"
        "    assert c.result().stdout_bytes == wild + b'last\\x07\\x1b]0;title\\x07'\n",
    )  # fmt: skip
    result.assert_outcomes(failed=1, passed=1)
    shown = result.stdout.str()
    assert not set(shown) & {"\x1b", "\0", "\x07", "\r"}
    assert "\\x1b[31mred" in shown
    text = pytester.path.joinpath("j.xml").read_text()
    assert ElementTree.fromstring(text).find(".//failure") is not None
    assert not {c for c in text if ord(c) < 32} - {"\n", "\t"}


def test_200_MB_on_both_streams_and_a_line_of_50_MB_cost_no_memory_here(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        "--bgcheck-order=keep",
        test_it="import resource\n"
        "def rss(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "big = background_check('head -c 200000000 /dev/zero; head -c 200000000 /dev/zero >&2')\n"
        "line = background_check(\"head -c 50000000 /dev/zero | tr '\\\\\\\\0' x; exit 3\")\n"
        "def test_before():\n    global before\n    before = rss()\n"
        "@pytest.mark.bgcheck\ndef test_big(big):\n"
        "    assert big.result().stdout_kept.size == 200_000_000\n"
        "    assert big.result().stderr_kept.size == 200_000_000\n"
        "@pytest.mark.bgcheck('line')\ndef test_line(): pass\n"
        "def test_after(line, big):\n"
        "    assert line.done() and big.done()\n"
        "    assert line.result().stdout_kept.size == 50_000_000\n"
        "    print('more MB:', rss() - before)\n    assert rss() - before < 60\n",
    )
    result.assert_outcomes(passed=3, failed=1)
    assert len(result.stdout.str()) < 100_000


def test_what_a_check_prints_decides_nothing(real_run: RealRun) -> None:
    """A frame for each nonce that it can find, and the names of final states."""
    forger = (
        "nonces() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
        " | grep -a '^[0-9a-f]\\{16\\}$' | head -50; }\n"
        # Looked up once: the call that it found may be over a moment later.
        'until found=$(nonces); [ -n "$found" ]; do sleep 0.05; done\n'
        "for nonce in $found; do for n in $nonce $nonce.1; do printf '\\n%s begin hex\\njob %s"
        " state.exit.0.1.1 -\\nout 0 0 0\\n.\\nerr 0 0 0\\n.\\n%s end 3\\n' $n"
        " $PYTEST_BGCHECK_JOB $n; done; done; echo state.exit.0.1.1; exit 9"
    )
    result = real_run.result(real_run.submit(target("local://"), forger))
    assert (result.state, result.rc) == (State.FAILED, 9)
    assert "begin hex" in result.stdout
