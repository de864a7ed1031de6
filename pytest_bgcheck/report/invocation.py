"""What the reports say of a run beside its jobs and tests: how it was called, where, with what.

Pure: the arguments and the environment are passed in.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from ..log import without_secrets


@dataclass(frozen=True)
class Invocation:
    """``title``: of the reports. ``command_line``: as for a shell, with ``***`` for what may be
    secret. ``versions``: of the programs and packages that matter, by name. ``ci_job_url``: where
    the CI system shows this run; empty if it is not known.
    """

    title: str = ""
    command_line: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    ci_job_url: str = ""


_SECRET_WORDS = "passw|passphrase|secret|token|credential|authorization|api[_-]?key|access[_-]?key"
_SECRET_NAME = rf"(?:[\w.-]*(?:{_SECRET_WORDS})[\w.-]*|(?:[\w.-]*[._-])?(?:pass|pwd))"

_SECRET_OPTION = re.compile(rf"^--{_SECRET_NAME}$", re.IGNORECASE)
_SECRET_VALUES = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"^(-*{_SECRET_NAME}=).+",
        # Within an argument: other variables, an address's query, JSON; and a header, or YAML.
        rf"""(?<![\w.-])({_SECRET_NAME}(?:=|["']\s*:\s*))(?:"[^"]*"|'[^']*'|[^\s&;,"'}}\]]+)""",
        rf"(?<![\w.-])({_SECRET_NAME}:\s+).+",
    )
]
_PASSWORD_IN_URL = re.compile(r"(\w://[^/\s:@]*):[^/\s]+@")


def shown_command_line(program: str, arguments: Sequence[str]) -> str:
    """Return a command line for people. A value is left out if its option's name speaks of a
    password, a token or the like, and so is the password of a URL: reports are passed on. What
    has no such name is shown."""
    shown: list[str] = [program]
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if _SECRET_OPTION.match(before) and not argument.startswith("-"):
            shown.append("***")
        else:
            for value in _SECRET_VALUES:
                argument = value.sub(r"\1***", argument)
            shown.append(_PASSWORD_IN_URL.sub(r"\1:***@", argument))
    return without_secrets(shlex.join(shown))


# As the systems' own documentation names the variables. The first whose variables are all there.
CI_JOB_URLS = (
    "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",  # Gitea, Forgejo too
    "{CI_JOB_URL}",  # GitLab
    "{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}",
    "{CIRCLE_BUILD_URL}",
    "{TRAVIS_JOB_WEB_URL}",
    "{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",  # Azure
    "https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",
    "https://cirrus-ci.com/task/{CIRRUS_TASK_ID}",
    "{DRONE_BUILD_LINK}",
    "{CI_PIPELINE_URL}",  # Woodpecker
    "{BUILD_URL}",  # Jenkins, TeamCity
)


def ci_job_url(environment: Mapping[str, str]) -> str:
    """Return the address of the CI job that this run is a part of, empty if none is known."""
    for template in CI_JOB_URLS:
        names = re.findall(r"{(\w+)}", template)
        if all(environment.get(name) for name in names):
            values = {
                name: quote(environment[name], "/:?#&=%@", errors="replace") for name in names
            }
            url = re.sub(r"(\w://)[^/@]*@", r"\1", template.format(**values))
            # Nothing else is followed by a click.
            return url if re.match(r"https?://", url) else ""
    return ""
