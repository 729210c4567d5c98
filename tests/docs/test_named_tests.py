"""Every claim of the pages about security and guarantees names tests, and every named test exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGES = ("docs/security.md", "docs/guarantees.md")
_NAMED = re.compile(r"`((?:tests|client)/[\w./-]+)::(\w+)`")
_BY_TEXT = ("client/go/", "tests/engines/")
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


def collected(words: list[str]) -> "subprocess.CompletedProcess[str]":
    """Let pytest collect what the words name, and run nothing."""
    command = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider")
    return subprocess.run(
        [*command, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def in_source(path: Path, name: str) -> bool:
    """Return whether the text of a file has a test of this name."""
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    return re.search(rf"\b(?:func|void|def) {name}\(", text) is not None


@pytest.mark.parametrize("page", PAGES)
def test_every_claim_names_a_test(page: str) -> None:
    """A row of a table of claims without a test is a claim that nobody checks."""
    claims = rows(_text(page))
    assert len(claims) > 10
    assert [claim for claim, shown_by in claims if not named(shown_by)] == []


def test_every_named_test_exists() -> None:
    """pytest collects them. Those of engines that may not be installed, and of Go, stand in their files."""
    tests = {found for page in PAGES for found in named(_text(page))}
    by_text = {found for found in tests if found[0].startswith(_BY_TEXT)}
    assert [found for found in sorted(by_text) if not in_source(ROOT / found[0], found[1])] == []
    done = collected([f"{path}::{name}" for path, name in sorted(tests - by_text)])
    assert done.returncode == 0, done.stdout + done.stderr


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
    assert collected([f"{here}::test_that_nobody_wrote"]).returncode != 0
    page = f"| claim | shown by |\n|---|---|\n| a | `{here}::rows` |\n| b | nothing |\n\n| c | d |"
    assert [claim for claim, shown_by in rows(page) if not named(shown_by)] == ["b"]
    assert named(page) == [(here, "rows")]
    source = tmp_path / "some_test.go"
    source.write_text("func TestOne(t *testing.T) {")
    assert in_source(source, "TestOne")
    assert not in_source(source, "TestTwo")
    assert not in_source(tmp_path / "none_test.go", "TestOne")
