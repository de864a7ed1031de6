"""How this pytest was called, for the reports."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import pytest

from ..options import Settings
from ..report.invocation import Invocation, ci_job_url, shown_command_line

PACKAGES = ("pytest-bgcheck", "pytest", "pytest-testinfra", "pytest-xdist")


def invocation(config: pytest.Config, settings: Settings) -> Invocation:
    versions = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass  # xdist is optional; we may run from a directory that was never installed
    return Invocation(
        title=settings.report_title or config.rootpath.name,
        command_line=shown_command_line("pytest", config.invocation_params.args),
        versions=versions,
        ci_job_url=ci_job_url(os.environ),
    )
