"""Every claim of the pages about security and guarantees names tests, and every named test exists."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGES = ("docs/security.md", "docs/guarantees.md")
_NAMED = re.compile(r"`((?:tests|client)/[\w./-]+)::(\w+)`")
_SHOWN_BY = "shown by"
_COMMAND = re.compile(r"\.venv/bin/pytest [^`\n]*")


def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def named(text: str) -> list[tuple[str, str]]:
    """Return the file and the name of every test that a page names."""
    return _NAMED.findall(text)


def rows(text: str) -> list[tuple[str, str]]:
    """Return the first and the last cell of every row of the tables whose last column is "shown by"."""
    found = []
    inside = False
    for line in text.splitlines():
        cells = (
            [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        )
        if not cells:
            inside = False
        elif cells[-1] == _SHOWN_BY:
            inside = True
        elif inside and set(cells[-1]) != {"-"}:
            found.append((cells[0], cells[-1]))
    return found


def exists(path: Path, name: str) -> bool:
    """Return whether a file has a test of this name, which pytest or Go would run."""
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return re.search(rf"^func {name}\(t \*testing\.T\)", text, re.MULTILINE) is not None
    is_there = re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE) is not None
    return path.name.startswith("test_") and name.startswith("test_") and is_there


@pytest.mark.parametrize("page", PAGES)
def test_every_claim_names_a_test(page: str) -> None:
    """A row of a table of claims without a test is a claim that nobody checks."""
    claims = rows(_text(page))
    assert len(claims) > 10
    assert [claim for claim, shown_by in claims if not named(shown_by)] == []


def test_every_named_test_exists() -> None:
    """A test that is renamed is renamed on the pages too."""
    tests = {found for page in PAGES for found in named(_text(page))}
    assert [found for found in sorted(tests) if not exists(ROOT / found[0], found[1])] == []


def test_every_promise_has_a_command_that_selects_tests() -> None:
    """A path that is not there would show nothing. Each section of promises ends with one command."""
    text = _text("docs/guarantees.md").partition("## Under which faults")[0]
    promises = text.split("\n### ")[1:]
    for promise in promises:
        (command,) = _COMMAND.findall(promise)
        paths = [ROOT / word for word in command.split()[1:]]
        for path in paths:
            files = sorted(path.glob("test_*.py")) if path.is_dir() else [path]
            assert files, path
            assert all("def test_" in file.read_text(encoding="utf-8") for file in files), path
        shown_by = {path for _, cell in rows(promise) for path, _ in named(cell)}
        assert shown_by & {file.relative_to(ROOT).as_posix() for file in paths if file.is_file()}


def test_a_test_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    """A missing test, a missing file, and a row without a test."""
    here = "tests/docs/test_named_tests.py"
    assert exists(ROOT / here, "test_every_named_test_exists")
    assert not exists(ROOT / here, "test_that_nobody_wrote")
    assert not exists(ROOT / here, "rows")  # a function that pytest does not run
    assert not exists(ROOT / "tests/docs/test_none.py", "test_a")
    page = f"| claim | shown by |\n|---|---|\n| a | `{here}::rows` |\n| b | nothing |\n\n| c | d |"
    assert [claim for claim, shown_by in rows(page) if not named(shown_by)] == ["b"]
    assert named(page) == [(here, "rows")]
    source = tmp_path / "some_test.go"
    source.write_text("func TestOne(t *testing.T) {")
    assert exists(source, "TestOne")
    assert not exists(source, "TestTwo")
