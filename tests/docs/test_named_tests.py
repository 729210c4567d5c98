"""Every claim of the pages about security and guarantees names tests, and every named test exists."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGES = ("docs/security.md", "docs/guarantees.md")
_NAMED = re.compile(r"`((?:tests|client)/[\w./-]+)::(\w+)`")
_SHOWN_BY = "shown by"
_COMMAND = re.compile(r"^(?:\.venv/bin/pytest|go test) .*$", re.MULTILINE)
_GO_TEST = re.compile(r"go test -C (\S+) -run (\S+) \.")


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


def selects(command: str, path: str, name: str) -> bool:
    """Return True if a command runs a test: pytest with its file or a directory above it, or Go with its name."""
    if (of_go := _GO_TEST.fullmatch(command)) is not None:
        return Path(path).parent == Path(of_go[1]) and re.search(of_go[2], name) is not None
    words = command.split()[1:]
    return any(Path(path).is_relative_to(word) for word in words)


def promises() -> list[tuple[str, list[str]]]:
    """Return the text of each section of promises, with its commands."""
    text = _text("docs/guarantees.md").partition("## Under which faults")[0]
    return [(section, _COMMAND.findall(section)) for section in text.split("\n### ")[1:]]


def test_every_promise_has_a_command_that_selects_tests() -> None:
    """A path that is not there would show nothing. The first command is of Python's tests."""
    for promise, (first, *others) in promises():
        paths = [
            ROOT / word
            for command in (first, *others)
            if not command.startswith("go ")
            for word in command.split()[1:]
        ]
        for path in paths:
            files = sorted(path.glob("test_*.py")) if path.is_dir() else [path]
            assert files, path
            assert all("def test_" in file.read_text(encoding="utf-8") for file in files), path
        shown_by = {test for _, cell in rows(promise) for test in named(cell)}
        for command in (first, *others):
            assert any(selects(command, *test) for test in shown_by), command


def test_every_named_test_is_run_by_a_command_of_its_section() -> None:
    """A reader who runs the commands of a promise has seen all tests that its table names."""
    not_run = [
        (path, name)
        for promise, commands in promises()
        for _, cell in rows(promise)
        for path, name in named(cell)
        if not any(selects(command, path, name) for command in commands)
    ]
    assert not_run == []


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


def test_a_command_that_does_not_run_a_test_is_noticed() -> None:
    """Of another file or directory, or another name of Go."""
    pytest_command = ".venv/bin/pytest tests/unit/transform tests/cli/test_urls.py"
    assert selects(pytest_command, "tests/unit/transform/test_ids.py", "test_a")
    assert selects(pytest_command, "tests/cli/test_urls.py", "test_a")
    assert not selects(pytest_command, "tests/unit/test_vectors.py", "test_a")
    assert not selects(pytest_command, "tests/cli/test_urls_too.py", "test_a")
    of_go = "go test -C client/go -run TestOne ."
    assert selects(of_go, "client/go/some_test.go", "TestOne")
    assert not selects(of_go, "client/go/some_test.go", "TestTwo")
    assert not selects(of_go, "tests/cli/test_urls.py", "TestOne")
