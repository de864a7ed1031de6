"""What the documentation shows."""

import ast
import builtins
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").glob("*.md"))]


def test_the_suites_for_people_from_ansible_pass(pytester: pytest.Pytester, tmp_path: Path) -> None:
    text = ROOT.joinpath("docs/from-ansible.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    for name in ("checks.py", "db.py"):
        tmp_path.joinpath(name).write_text("#!/bin/sh\necho fine\n")
        tmp_path.joinpath(name).chmod(0o755)
    for n, block in enumerate(blocks):
        suite = block.replace("/opt/monitor", str(tmp_path))
        pytester.path.joinpath(f"test_{n}.py").write_text(suite)
    pytester.runpytest_subprocess(timeout=120).assert_outcomes(passed=3)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_of_python_can_be_copied_as_it_stands(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S):
        used: set[str] = set()
        bound = set(dir(builtins))
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Name):
                (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
            elif isinstance(node, ast.FunctionDef):
                bound.add(node.name)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                bound.update(alias.asname or alias.name for alias in node.names)
        assert used <= bound, block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not page.parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("name", ["waiting", "summary"])
def test_a_picture_is_an_image_with_what_it_is_about(name: str) -> None:
    text = ROOT.joinpath(f"docs/pictures/{name}.svg").read_text("utf-8")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    shown = text.replace("\u00a0", " ")
    assert ("test_backup_is_verified waits 3 s" in shown) == (name == "waiting")
    assert ("6 background checks on 3 hosts" in shown) == (name == "summary")
