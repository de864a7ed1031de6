"""The plugins that people use most: with which options each runs, and what it changes by intention.

Left out: pytest-docker, pytest-ansible's containers and whatever else starts machines of its own;
pytest-django and the like, which need a project of theirs; services (Report Portal), which need a
server.
"""

from __future__ import annotations

from dataclasses import dataclass

CHECKS = "checks.py"
"""The suite that runs beside each of them."""


@dataclass(frozen=True)
class Neighbour:
    """A plugin.

    ``suites``: what of `suites/` runs beside it, and `checks.py`. ``requirements``: what else is
    installed. ``mark``: what it has for MARK(n) in them. ``copies``: how often each test runs.
    ``broken``: tests that it breaks by itself, also without this plugin. ``dist``: how xdist deals
    the tests; their order is kept by ``loadfile``. ``workers``: False if it runs alone only.
    ``unsupported``: differences are told, but fail nothing. ``note``: what to know of it.
    ``quick``: it is in ``--quick``.
    """

    package: str
    options: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    mark: str = ""
    broken: tuple[str, ...] = ()
    copies: int = 1
    dist: str = "load"
    workers: bool = True
    unsupported: bool = False
    note: str = ""
    quick: bool = False


NEIGHBOURS = (
    Neighbour("pytest", note="no other plugin", quick=True),
    Neighbour("allure-pytest", ("--alluredir=allure",)),
    Neighbour("anyio", suites=("async_tests.py",), quick=True),
    Neighbour(
        "pytest-ansible",
        workers=False,
        unsupported=True,
        note="not beside pytest-testinfra: both have an option `--ansible-inventory`",
    ),
    Neighbour(
        "pytest-asyncio", ("-o", "asyncio_mode=auto"), suites=("async_tests.py",), quick=True
    ),
    Neighbour(
        "pytest-bdd",
        suites=("scenarios.py",),
        note="a scenario whose steps use a check has `host`, or the check, as a parameter",
    ),
    Neighbour("pytest-benchmark"),
    Neighbour(
        "pytest-cases",
        suites=("cases.py",),
        requirements=("pytest<9",),
        note="with pytest 8: by itself 3.10.1 fails on pytest 9.2",
    ),
    Neighbour("pytest-check"),
    Neighbour("pytest-cov", ("--cov=.", "--cov-report=term"), quick=True),
    Neighbour(
        "pytest-dependency",
        suites=("depending.py",),
        dist="loadfile",
        note="a test's name ends in its host, as by testinfra: give it one, `dependency(name=...)`",
    ),
    Neighbour("pytest-dotenv"),
    Neighbour("pytest-env"),
    Neighbour("pytest-flakefinder", ("--flake-finder", "--flake-runs=2"), copies=2),
    Neighbour(
        "pytest-forked",
        ("--forked",),
        requirements=("pytest<9",),
        note="with pytest 8: 1.7.5 fails every test on pytest 9, with or without this plugin",
        quick=True,
    ),
    Neighbour("pytest-freezer", suites=("frozen_clock.py",)),
    Neighbour("pytest-freezegun", requirements=("setuptools<80",), suites=("frozen_clock.py",)),
    Neighbour("pytest-github-actions-annotate-failures"),
    Neighbour("pytest-html", ("--html=page.html",), quick=True),
    Neighbour("pytest-httpserver"),
    Neighbour("pytest-instafail", ("--instafail",)),
    Neighbour("pytest-json-report", ("--json-report",), quick=True),
    Neighbour(
        "pytest-lazy-fixtures",
        suites=("lazy.py",),
        note="a test whose lazy fixtures use a check has `host`, or the check, as a parameter",
    ),
    Neighbour("pytest-memray", ("--memray",)),
    Neighbour("pytest-metadata", ("--metadata", "a", "b")),
    Neighbour("pytest-mock", suites=("mocked.py",), quick=True),
    Neighbour("pytest-order", suites=("ordered.py",), mark="order({})", dist="loadfile"),
    Neighbour("pytest-ordering", suites=("ordered.py",), mark="run(order={})", dist="loadfile"),
    Neighbour(
        "pytest-parallel",
        ("--workers=2",),
        requirements=("py", "pytest<9"),
        workers=False,
        note="with pytest 8 and `py`, which it needs and does not name; `--workers` was run",
    ),
    Neighbour("pytest-picked"),
    Neighbour("pytest-progress", ("--show-progress",)),
    Neighbour("pytest-random-order", ("--random-order",)),
    Neighbour("pytest-randomly", quick=True),
    Neighbour("pytest-repeat", ("--count=2",), copies=2),
    Neighbour("pytest-reportportal"),
    Neighbour("pytest-rerunfailures", ("--reruns=1",), suites=("retried.py",), quick=True),
    Neighbour(
        "pytest-retry",
        ("--retries=1",),
        suites=("retried.py",),
        broken=("test_case_check_fails",),
        note="by itself it takes a test of `unittest` that fails again for passed",
    ),
    Neighbour("pytest-rich", ("--rich",)),
    Neighbour("pytest-socket", ("--disable-socket", "--allow-unix-socket")),
    Neighbour("pytest-split", ("--splits=1", "--group=1")),
    Neighbour("pytest-subprocess", suites=("fake_processes.py",)),
    Neighbour("pytest-subtests", suites=("subtests.py",)),
    Neighbour("pytest-sugar"),
    Neighbour("pytest-testmon", ("--testmon",)),
    Neighbour("pytest-timeout", ("--timeout=100",), quick=True),
    Neighbour("pytest-tldr"),
    Neighbour("pytest-unordered"),
    Neighbour("pytest-xprocess"),
    Neighbour("pyfakefs", suites=("fake_files.py",)),
    Neighbour("time-machine", suites=("travelling_clock.py",)),
)
