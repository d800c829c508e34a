"""The code in the README and the tutorial runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks(name):
    return re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_code_on_the_page_runs(name, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    found = blocks(name)
    assert found
    space = {}
    for block in found:
        exec(compile(block, name, "exec"), space)
    assert len(space["flags"].frame) > 10
    assert capsys.readouterr().out


def test_code_of_the_reference_runs(capsys):
    for block in blocks("docs/reference.md"):
        if "read_microdata" in block:
            exec(compile(block, "docs/reference.md", "exec"), {})
            assert "indebted" in capsys.readouterr().out
            return
    pytest.fail("no example of read_microdata")


@pytest.mark.slow
def test_scans_of_the_reference_run(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (block,) = (each for each in blocks("docs/reference.md") if "GraphScan" in each)
    space = {}
    exec(compile(block, "docs/reference.md", "exec"), space)
    assert "relative_risk" in capsys.readouterr().out
    assert len(space["flags"].frame) > 5


def test_readme_has_nine_lines_of_python():
    (code,) = blocks("README.md")
    statements = [line for line in code.splitlines() if line and not line.startswith(" " * 10)]
    assert len(statements) == 9


PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    here = (ROOT / page).parent
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [target for target in targets if not (here / target).exists()] == []
