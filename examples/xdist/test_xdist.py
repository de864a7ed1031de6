"""Four workers, three jobs, many tests that await them: each job runs once."""

import pytest

from pytest_bgcheck import background_check

backup = background_check("sleep 2; echo verified $PYTEST_BGCHECK_JOB", timeout=30)
raid = background_check("sleep 3; echo clean", timeout=30)


@pytest.fixture(scope="session")
def migration(bgcheck):
    """Start a job that is not declared. Every worker runs this fixture, and gets the same job."""
    return bgcheck.start("sleep 2; echo done", name="migration", timeout=30)


@pytest.mark.parametrize("table", ["users", "orders", "invoices", "logs"])
@pytest.mark.bgcheck("backup")
def test_backup(backup, table):
    assert backup.stdout == f"verified {backup.id}\n"


@pytest.mark.bgcheck("raid")
def test_raid(raid):
    assert raid.stdout == "clean\n"


@pytest.mark.parametrize("table", ["users", "orders", "invoices", "logs"])
def test_migration(migration, table):
    assert migration.rc == 0  # the verdict; the output alone judges nothing
    assert migration.stdout == "done\n"


@pytest.mark.parametrize("n", range(8))
def test_ordinary_tests_run_meanwhile(host, n):
    assert host.file("/bin/sh").exists
