"""The JSON document's parts, its schema, and the table of states: they name the same things."""

import json
import re
import types
from importlib import resources
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from support.ledger_builder import ZERO, LedgerBuilder

from pytest_bgcheck.events import JobWanted
from pytest_bgcheck.model import State
from pytest_bgcheck.report import document, html, probe_parts, summary
from pytest_bgcheck.report.figures import Run, figures
from pytest_bgcheck.report.states import LEGEND, LOOKS

SCHEMA = json.loads(resources.files("pytest_bgcheck.report").joinpath("schema.json").read_text())
PARTS = {
    document.RunPart: "run",
    document.SummaryPart: "summary",
    document.StepPart: "step",
    document.JobPart: "job",
    document.TriesPart: "tries",
    document.OutputPart: "output",
    document.WaitPart: "wait",
    document.TestPart: "test",
    probe_parts.ProbePart: "probe",
    probe_parts.WindowPart: "window",
    probe_parts.SeenPart: "seen",
    probe_parts.OutagePart: "outage",
    probe_parts.GapPart: "gap",
}
WORDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def form(hint: Any) -> Any:
    """Return the schema's words for a type."""
    if is_typeddict(hint):
        return {"$ref": f"#/$defs/{PARTS[hint]}"}
    if get_origin(hint) is list:
        return {"type": "array", "items": form(*get_args(hint))}
    if get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": form(get_args(hint)[1])}
    if get_origin(hint) in (Union, types.UnionType):
        kinds = get_args(hint)
        if any(map(is_typeddict, kinds)):
            return {"anyOf": [form(of) for of in kinds]}
        return {"type": [WORDS[of] for of in kinds]}
    return {"type": WORDS[hint]}


def bare(schema: dict[str, Any]) -> Any:
    """Return a property's schema without what its type in Python does not say."""
    if "enum" in schema:
        return {"type": "string"}
    if "const" in schema:
        return {"type": "integer"}
    return {
        key: bare(value) if isinstance(value, dict) else value
        for key, value in schema.items()
        if key in ("$ref", "type", "anyOf", "items", "additionalProperties")
    }


@pytest.mark.parametrize("part", [document.Document, *PARTS], ids=lambda part: part.__name__)
def test_the_schema_has_the_keys_and_types_of_each_part(part: type) -> None:
    schema = SCHEMA if part is document.Document else SCHEMA["$defs"][PARTS[part]]
    hints = get_type_hints(part)
    assert schema["required"] == list(hints)
    found = {key: bare(value) for key, value in schema["properties"].items()}
    assert found == {key: form(hint) for key, hint in hints.items()}


def test_the_schema_has_every_state() -> None:
    states = [str(state) for state in State]
    assert SCHEMA["$defs"]["job"]["properties"]["state"]["enum"] == states
    assert SCHEMA["$defs"]["summary"]["properties"]["states"]["propertyNames"]["enum"] == states


def test_every_state_has_a_look_that_the_page_can_colour_and_explain() -> None:
    assert list(LOOKS) == list(State)
    assert set(LOOKS.values()) == set(LEGEND)
    style = resources.files("pytest_bgcheck.report").joinpath("page/page.css").read_text()
    assert all(f".bar.{look.kind} " in style for look in LEGEND)


def test_the_documentation_explains_every_state_that_a_job_can_end_in() -> None:
    page = Path(__file__).parents[2].joinpath("docs/failures.md").read_text("utf-8")
    explained = re.findall(r"^\| `([a-z ]+)` \|", page, re.M)
    assert explained == [str(s) for s in State if s.final and s is not State.SUCCEEDED]


def test_the_page_counts_what_did_not_succeed_as_the_headline_does() -> None:
    builder = LedgerBuilder()
    builder.job("bad", "h", 0, 1, State.FAILED, 3)
    builder.ledger.tell(JobWanted(builder.job("asked_for", "h", 0, 1, State.CANCELLED, None)))
    builder.job("not_asked_for", "h", 0, 1, State.CANCELLED, None)
    builder.ledger.close(ZERO + 2)
    run = Run(ZERO, ZERO + 2, 1)
    numbers = figures(builder.ledger, run)
    headline = summary.headline(numbers)
    page = html.page(document.document(builder.ledger, run, numbers), headline)
    assert headline.startswith("3 background checks on 1 host, 2 did not succeed:")
    assert "<small>3 checks, 2 did not succeed</small>" in page
