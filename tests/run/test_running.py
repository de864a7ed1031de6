"""`bgcheck.running`: a service for the length of a block."""

from collections.abc import Sequence

import pytest
from support import leftovers
from support.json_report import read
from support.suites import run

pytestmark = pytest.mark.usefixtures("own_tmpdir")

DIES = (
    "import os, threading, time\n"
    "from pytest_bgcheck import WrongUse\n"
    "@pytest.fixture\n"
    "def mortal(bgcheck, tmp_path):\n"
    "    command = 'mkfifo end; read -r _ <end; echo out; exit 3'\n"
    "    return lambda name='s': bgcheck.running(command, name=name, cwd=tmp_path)\n"
    "@pytest.fixture\n"
    "def die(tmp_path):\n"
    "    def die(service):\n"
    "        tmp_path.joinpath('end').write_text('now')\n"
    "        deadline = time.monotonic() + 60\n"
    "        while not service.done():\n"
    "            assert time.monotonic() < deadline\n"
    "            time.sleep(0.02)\n"
    "    return die\n"
)

BLOCKS = (
    DIES + "def test_a_block_has_its_service(bgcheck, tmp_path):\n"
    "    with bgcheck.running('echo $$ >pid; mv pid there; exec sleep 61', name='s',\n"
    "                         ready='test -f there', cwd=tmp_path) as s:\n"
    "        assert (s.ready, s.state, s.done()) == (True, 'ready', False)\n"
    "        pid = int(tmp_path.joinpath('there').read_text())\n"
    "        os.kill(pid, 0)\n"
    "    with pytest.raises(ProcessLookupError): os.kill(pid, 0)\n"
    "    assert s.state == 'stopped' and s.succeeded and bgcheck['s'] is s\n"
    "def test_each_block_is_a_start_of_its_own(bgcheck):\n"
    "    block, ids = bgcheck.running('sleep 62', name='s', host='local://'), set()\n"
    "    for _ in range(3):\n"
    "        with block as s:\n"
    "            ids.add(s.id)\n"
    "            assert bgcheck['s'] is s\n"
    "            with pytest.raises(WrongUse, match=\"'s' runs on local already, in a block\"):\n"
    "                with bgcheck.running('sleep 62', name='s'): pass\n"
    "            with bgcheck.running('sleep 62', name='other') as other: assert s.ready\n"
    "            assert other.state == 'stopped' and s.ready\n"
    "    assert len(ids) == 3\n"
    "def test_blocks_in_threads(bgcheck):\n"
    "    def blocks(name):\n"
    "        for _ in range(2):\n"
    "            with bgcheck.running('sleep 63', name=name) as s: ended.append(s)\n"
    "    ended = []\n"
    "    threads = [threading.Thread(target=blocks, args=[name]) for name in 'ab']\n"
    "    for thread in threads: thread.start()\n"
    "    for thread in threads: thread.join()\n"
    "    assert [s.state for s in ended] == ['stopped'] * 4\n"
    "def test_an_exception_stays_what_it_is(bgcheck):\n"
    "    with pytest.raises(KeyError) as caught:\n"
    "        with bgcheck.running('sleep 64', name='s') as s: raise KeyError\n"
    "    assert s.state == 'stopped' and not getattr(caught.value, '__notes__', [])\n"
    "def test_a_death_is_told_at_the_end_of_the_block(mortal, die):\n"
    "    with pytest.raises(AssertionError, match=\"(?s)'s' on local died: rc 3 .* out\"):\n"
    "        with mortal() as s: die(s); s.stop()\n"
    "def test_a_death_that_was_read_is_not(mortal, die):\n"
    "    with mortal() as s:\n"
    "        die(s)\n"
    "        assert (s.ready, s.state, s.stop().rc) == (False, 'died', 3)\n"
    "def test_one_that_does_not_get_ready(bgcheck):\n"
    "    with pytest.raises(AssertionError, match=\"(?s)'s' on local not ready: rc 4 .* out\"):\n"
    "        with bgcheck.running('echo out; exit 4', name='s'): assert False\n"
    "    with pytest.raises(AssertionError, match=\"'s' on local not ready after\"):\n"
    "        with bgcheck.running('sleep 65', name='s', ready='false', ready_timeout=0.7): pass\n"
    "@pytest.fixture\n"
    "def fixture(bgcheck):\n"
    "    with bgcheck.running('sleep 66', name='fixture') as s: yield s\n"
    "    assert s.state == 'stopped'\n"
    "def test_a_block_in_a_fixture(fixture): fixture.wait_ready()\n"
    "def test_a_block_in_a_forked_child(bgcheck):\n"
    "    child = os.fork()\n"
    "    if child == 0:\n"
    "        try:\n"
    "            with bgcheck.running('sleep 67', name='s') as s: assert s.ready\n"
    "            os._exit(0 if s.state == 'stopped' else 3)\n"
    "        finally: os._exit(4)\n"
    "    assert os.waitpid(child, 0)[1] == 0\n"
    "def test_wrong_use(bgcheck):\n"
    "    with pytest.raises(WrongUse, match=\"service 's': after is for declarations\"):\n"
    "        bgcheck.running('sleep 68', name='s', after='fixture')\n"
    "    with pytest.raises(WrongUse, match=\"service 's': .*has no argument 'rc'\"):\n"
    "        bgcheck.running('sleep 68', name='s', rc=0)\n"
)  # fmt: skip
COUNT = BLOCKS.count("def test_")


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_a_block_runs_a_service_of_its_own(pytester: pytest.Pytester, args: Sequence[str]) -> None:
    result = run(
        pytester, "-Wignore::DeprecationWarning", "--bgcheck-report=r.json", *args, test_it=BLOCKS
    )
    result.assert_outcomes(passed=COUNT)
    assert result.ret == 0
    jobs = read(pytester)["jobs"]
    assert len({job["id"] for job in jobs}) == len(jobs) >= 18
    assert leftovers.directories() == []
    assert not leftovers.checks()


def test_a_block_that_is_never_entered_fails_its_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "-rA",
        test_it="@pytest.fixture\n"
        "def made(bgcheck):\n"
        "    bgcheck.running('sleep 69', name='made')\n"
        "@pytest.fixture\n"
        "def left(bgcheck):\n"
        "    yield\n"
        "    bgcheck.running('sleep 69', name='left')\n"
        "def test_forgets_with(bgcheck):\n"
        "    bgcheck.running('sleep 69', name='forgotten')\n"
        "def test_fixture_forgets_with(made): pass\n"
        "def test_teardown_forgets_with(left): pass\n"
        "def test_uses_it_as_the_job(bgcheck):\n"
        "    bgcheck.running('sleep 69', name='used').wait_ready()\n"
        "def test_enters_another_later(bgcheck):\n"
        "    block = bgcheck.running('sleep 69', name='entered')\n"
        "    with block as job: assert job.ready\n",
    )
    result.assert_outcomes(passed=2, failed=3, errors=1)
    has_not_run = "has not run: bgcheck.running(...) starts it when its block is entered, as in *"
    result.stdout.fnmatch_lines_random(
        [
            *(f"background service '{name}' {has_not_run}" for name in ("forgotten", "made")),
            f"background service 'left' {has_not_run}",
            "E *AttributeError: wait_ready is of the service's job, which is there when *",
        ]
    )


def test_a_death_is_told_beside_the_exception_that_leaves_the_block(
    pytester: pytest.Pytester,
) -> None:
    """Where that was expected, nobody has looked at the death: the run fails."""
    result = run(
        pytester,
        test_it=DIES + "def test_fails(mortal, die):\n"
        "    with mortal('a') as a:\n"
        "        die(a)\n"
        "        assert 1 == 2\n"
        "@pytest.mark.xfail(raises=KeyError, strict=True)\n"
        "def test_expects_it(mortal, die):\n"
        "    with mortal('b') as b:\n"
        "        die(b)\n"
        "        raise KeyError\n",
    )
    result.assert_outcomes(failed=1, xfailed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["E *assert 1 == 2", "*background service 'a' on local died: rc 3*"]
    )
    result.stdout.fnmatch_lines(["background service 'b' on local died: rc 3*so the run fails"])


def test_blocks_one_after_the_other_let_nothing_grow(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        test_it="import logging, threading\n"
        "other = background_check('sleep 60')\n"
        "class Asked(logging.Handler):\n"
        "    count = 0\n"
        "    def emit(self, record): self.count += ': asked, ' in record.getMessage()\n"
        "def test_blocks(bgcheck, other):\n"
        "    asked, log = Asked(), logging.getLogger('pytest_bgcheck')\n"
        "    log.addHandler(asked)\n"
        "    log.setLevel('DEBUG')\n"
        "    most = 0\n"
        "    for _ in range(12):\n"
        "        with bgcheck.running('sleep 61', name='s'):\n"
        "            most = max(most, threading.active_count())\n"
        "    log.removeHandler(asked)\n"
        "    print(most, asked.count)\n"
        "    assert most <= 12 and asked.count <= 12 * 6\n"
        "    other.cancel()\n"
        "    assert other.result().state == 'cancelled'\n",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
