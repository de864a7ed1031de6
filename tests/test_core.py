"""The plain data: what tells jobs apart, and which tests make which jobs."""

from pytest_bgcheck import plan
from pytest_bgcheck.tasks import Check

CHECK = Check("webapp", ("/opt/check",), "/opt/check")


def test_a_job_is_planned_once_with_all_its_tests() -> None:
    wants = [
        plan.Want("a", CHECK, "h1", True),
        plan.Want("b", CHECK, "h2", True),
        plan.Want("c", CHECK, "h1", False),
        plan.Want("d", CHECK, "h1", True),
    ]
    told = [(j.host, j.awaited_by, j.requested_by) for j in plan.jobs(wants)]
    assert told == [("h1", ("a", "d"), ("c",)), ("h2", ("b",), ())]


def test_a_job_has_one_id_for_each_host_and_each_difference() -> None:
    other_rc = Check("webapp", ("/opt/check",), "/opt/check", rc=frozenset({1}))
    other_limit = Check("webapp", ("/opt/check",), "/opt/check", timeout_s=1)
    ids = {
        CHECK.id_on("a", "run", CHECK.terms("salt")),
        CHECK.id_on("b", "run", CHECK.terms("salt")),
        CHECK.id_on("a", "run", other_rc.terms("salt")),
        CHECK.id_on("a", "run", other_limit.terms("salt")),
    }
    assert len(ids) == 4
    assert all(id.startswith("run-") and id.count("-") == 1 for id in ids)
    assert not any("webapp" in id for id in ids)
