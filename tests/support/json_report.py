"""The JSON document of a run, read as its schema says."""

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest


def read(pytester: pytest.Pytester, name: str = "r.json") -> Any:
    """Return a report, which is valid."""
    document = json.loads(pytester.path.joinpath(name).read_text("utf-8"))
    schema = json.loads(
        resources.files("pytest_bgcheck.report").joinpath("schema.json").read_text()
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    return document
