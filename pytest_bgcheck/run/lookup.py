"""Finds the jobs that a name means: to a call of the ``bgcheck`` fixture, or to a test's mark."""

from __future__ import annotations

from collections.abc import Container

import pytest

from ..errors import NoSuchJob, WrongUse
from ..marks import check_mark
from ..report import text
from ..suite.collection import ItemChecks, own_host
from ..target.records import Record
from .session import Session


def find(
    session: Session, name: str, host: str | None = None, hidden: Container[Record] = ()
) -> Record:
    """Return a job by name, and by host where several have it. Raises NoSuchJob.

    ``hidden``: jobs that are not looked for.
    """
    __tracebackhide__ = True
    session.start_named(name)
    every = [record for record in session.runner.records.values() if record not in hidden]
    records = [record for record in every if record.spec.task.name == name]
    if not records:
        known = {record.spec.task.name for record in every}
        raise NoSuchJob(text.unknown(name, known | {job.task.name for job in session.planned}))
    title = records[0].spec.task.title
    places = sorted({record.target.label for record in records})
    if host is not None:
        labelled = [record for record in records if record.target.label == host]
        if len(labelled) != 1:  # a label leaves out user and port
            identity = session.named_host(host).identity
            records = [record for record in records if record.target.identity == identity]
        records = labelled if len(labelled) == 1 else records or labelled
    if not records:
        raise NoSuchJob(f"{title} has no job on {host}; it has one on: {', '.join(places)}")
    if len({record.target.label for record in records}) > 1:
        raise NoSuchJob(
            f"{title} has a job on each of: {', '.join(places)};"
            f" name one, as in bgcheck[{name!r}, {places[0]!r}]"
        )
    if len(records) > 1:
        raise NoSuchJob(
            f"{len(records)} jobs with the name {name!r} run on {records[0].target.label}: a test"
            " gets its own by the fixture of that name, or the mark"
        )
    return records[0]


def awaited(session: Session, item: pytest.Item, checks: ItemChecks, name: str) -> list[Record]:
    """Return the jobs that a name means in an item's mark; fail the test if there are none.

    Raises WrongUse if the mark says what there is not of their kind.
    """
    __tracebackhide__ = True
    if name in checks.declared:
        check, refs = checks.declared[name]
        own = None if refs else own_host(item)
        if not refs and own is None:
            pytest.fail(
                f"{check.title} has no host here: the test has no testinfra host",
                pytrace=False,
            )
        return [session.record(check, ref) for ref in refs or [own] if ref is not None]
    # Not all jobs of that name: of the declared checks only those count that the test can see.
    records = session.undeclared.get(name, [])
    if not records:
        places = session.collection.where_declared(name)
        if places:
            pytest.fail(text.not_visible(name, places), pytrace=False)
        known = {*session.undeclared, *session.collection.names_seen_by(item)}
        pytest.fail(text.unknown(name, known), pytrace=False)
    check_mark(records[0].spec.task, checks.awaited[name])
    try:
        own = own_host(item)
    except WrongUse:
        own = None  # it has a host on which no job of ours can be
    return [
        record for record in records if own and record.target.identity == own.identity
    ] or records
