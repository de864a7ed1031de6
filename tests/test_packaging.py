"""What is installed, and how it is found."""

import os
import zipfile
from pathlib import Path

import pytest
from support import json_report
from support.suites import run

import pytest_bgcheck

SOURCE = Path(__file__).parents[1] / "pytest_bgcheck"
INSTALLED = Path(pytest_bgcheck.__file__).parent


def files(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_all_files_of_the_source_are_installed() -> None:
    assert files(INSTALLED) == files(SOURCE)


@pytest.mark.started
@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["alone", "workers"])
def test_the_package_works_in_a_zip(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: list[str]
) -> None:
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in files(SOURCE):
            file.write(SOURCE / path, Path("pytest_bgcheck") / path)
    others = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(archive), others])))
    result = run(
        pytester,
        "--bgcheck-report=r.json",
        "--bgcheck-report=r.html",
        *args,
        conftest=f"assert __import__('pytest_bgcheck').__file__.startswith({str(archive)!r})\n",
        test_it="good = background_check('echo out')\nbad = background_check('exit 3')\n"
        "@pytest.mark.bgcheck\ndef test_good(good): assert good.stdout == 'out\\n'\n"
        "@pytest.mark.bgcheck\ndef test_bad(bad): pass\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*not written*")
    assert {job["name"] for job in json_report.read(pytester)["jobs"]} == {"good", "bad"}
    assert "background check" in pytester.path.joinpath("r.html").read_text("utf-8").lower()
