"""What crosses to another process: plain types, and one bad message costs only itself."""

import decimal
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bgcheck.model import State
from pytest_bgcheck.wire import Reader, plain


class Code(enum.IntEnum):
    DEGRADED = 2


class Name(str):
    def __str__(self) -> str:
        return "another"


class Whole(int):
    def __int__(self) -> int:
        return 99


class Numpy:
    """As numpy's integers: no int, but an index."""

    def __index__(self) -> int:
        return 7


EXACT = (type(None), bool, int, float, str, bytes, list, tuple, dict)


def exact(value: object) -> bool:
    if type(value) not in EXACT:
        return False
    if isinstance(value, dict):
        return all(exact(k) and exact(v) for k, v in value.items())
    return all(map(exact, value)) if isinstance(value, (list, tuple)) else True


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Code.DEGRADED, 2),
        (State.LOST, "lost"),
        (Name("mine"), "mine"),
        (Whole(3), 3),
        (Numpy(), 7),
        (decimal.Decimal("0.5"), 0.5),
        ({Code.DEGRADED}, [2]),
        (frozenset({1}), [1]),
        (range(2), [0, 1]),
        ({Name("k"): (Code.DEGRADED,)}, {"k": (2,)}),
        (Path("/x"), "/x"),
        ("caf\udce9", "caf\\udce9"),
        (1 << 40, 1 << 40),
        (-(1 << 40), float(-(1 << 40))),
        (1 << 70, float(1 << 70)),
        (bytearray(b"x"), b"x"),
        (True, True),
    ],
)
def test_a_value_becomes_plain(value: object, told: object) -> None:
    made = plain(value)
    assert exact(made)
    assert (type(made), made) == (type(told), told)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(),
                  st.text(st.characters()), st.sampled_from(Code)),
        lambda inner: st.one_of(
            st.lists(inner), st.sets(st.integers()), st.dictionaries(st.text(), inner)
        ),
        max_leaves=20,
    )
)  # fmt: skip
def test_whatever_becomes_plain_can_be_sent(value: object) -> None:
    execnet = pytest.importorskip("execnet")
    made = plain(value)
    sent = execnet.loads(execnet.dumps(made))
    assert exact(sent)
    assert repr(sent) == repr(made)


@pytest.mark.parametrize("value", [object(), [object()], 10**400, {"x": 1j}])
def test_what_cannot_be_told_is_an_error(value: object) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        plain(value)


@dataclass(frozen=True)
class Inner:
    size: int
    head: bytes | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    at: float | None
    state: State
    inner: Inner | str
    keys: tuple[str, ...] = ()
    waited_s: Mapping[str, float] = field(default_factory=dict)


OUTER: Reader[Outer] = Reader(Outer)

VALUES = [
    Outer("a", None, State.LOST, Inner(3)),
    Outer("b", 1.5, State.FAILED, "x", ("k", "l"), {"k": 2.5}),
    Outer("c", 2.0, State.FAILED, Inner(1 << 80, b"\xff")),
]


@pytest.mark.parametrize("value", VALUES)
def test_a_dataclass_is_the_same_in_the_other_process(value: Outer) -> None:
    made = plain(value)
    assert exact(made)
    assert OUTER.read(made) == value
    execnet = pytest.importorskip("execnet")
    assert OUTER.read(execnet.loads(execnet.dumps(made))) == value


def test_exact_values_are_read_where_others_were_told() -> None:
    told = Outer(Name("mine"), Whole(3), State.LOST, Inner(Code.DEGRADED), ["k"])  # type: ignore[arg-type]
    read = OUTER.read(plain(told))
    assert read == Outer("mine", 3.0, State.LOST, Inner(2), ("k",))
    assert (type(read.name), type(read.at), type(read.inner.size)) == (str, float, int)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "made",
    [
        (), ("Outer",), ("Inner", {"size": 1}), "Outer", None, 3, ("Outer", ()), (["Outer"], {}),
        ("Outer", {"name": "a"}), ("Outer", {"unknown": 1}),
        ("Outer", {**plain(VALUES[0])[1], "name": 3}),
        ("Outer", {**plain(VALUES[0])[1], "at": "soon"}),
        ("Outer", {**plain(VALUES[0])[1], "state": "asleep"}),
        ("Outer", {**plain(VALUES[0])[1], "inner": ("Outer", {})}),
        ("Outer", {**plain(VALUES[0])[1], "keys": "abc"}),
        ("Outer", {**plain(VALUES[0])[1], "waited_s": [1]}),
    ],
)  # fmt: skip
def test_what_is_not_of_the_kind_is_an_error(made: object) -> None:
    with pytest.raises((TypeError, ValueError, LookupError)):
        OUTER.read(made)


def test_a_field_that_cannot_cross_is_an_error_at_once() -> None:
    @dataclass(frozen=True)
    class Bad:
        values: list[complex]

    for kind in (set[int], complex, Inner | complex, Bad, tuple[int, int]):
        with pytest.raises((TypeError, NameError)):
            Reader(kind)


SUITE = """
import enum
from pytest_bgcheck import background_check
import pytest

class Code(enum.IntEnum):
    DEGRADED = 2

class Name(str):
    pass

odd = background_check(Name("exit 2"), rc=Code.DEGRADED, timeout=30)
long = background_check("sleep 47.0311", timeout=60)

@pytest.mark.bgcheck("odd")
@pytest.mark.parametrize("x", ["caf\\udce9"], ids=["odd"])
def test_odd(odd, x):
    pass

def test_long(long):
    pass
"""


@pytest.mark.parametrize("bad", [False, True])
def test_a_run_with_such_values_is_told_whole_and_one_bad_message_makes_it_red(
    pytester: pytest.Pytester, own_tmpdir: Path, bad: bool
) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(SUITE)
    if bad:
        pytester.makeconftest(
            "import pytest\n"
            "@pytest.fixture(autouse=True)\n"
            "def bad(request):\n"
            "    import pytest_bgcheck.run as s\n"
            "    from pytest_bgcheck.events import JobRequested\n"
            "    ours = request.config.stash[s.SESSION]\n"
            "    if ours is not None and request.node.name.startswith('test_long'):\n"
            "        ours.link.tell(JobRequested(object(), 'x'))\n"
            "    yield\n"
        )
    result = pytester.runpytest_subprocess("-n1", "--bgcheck-unawaited=ignore")
    result.assert_outcomes(passed=2)
    assert result.ret == (1 if bad else 0)
    if bad:
        result.stdout.fnmatch_lines(["*internal error: TypeError: object cannot be sent*"])
    else:
        result.stdout.no_fnmatch_line("*internal error*")
    assert not list(own_tmpdir.glob("pytest-bgcheck-*"))
