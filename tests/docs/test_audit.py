"""`make audit` tells a source that knows of no vulnerability from a source that could not be reached."""

import json
import re
import sys

import pytest

from docs.generate.audit import (
    SOURCES,
    Finding,
    Source,
    _run,
    audit,
    line,
    read_govulncheck,
    read_npm_audit,
    read_pip_audit,
)


def _pip(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies})


def test_a_source_that_knew_no_package_was_not_reached() -> None:
    """pip-audit succeeds, and says that there are none, also where it had to skip every package."""
    skipped = {"name": "a", "skip_reason": "Dependency not found on PyPI"}
    for text in (_pip(skipped), _pip(), "", "no json", "[]"):
        assert not read_pip_audit(text).reached, text
    for text in ("", '{"message": "405 Method Not Allowed", "error": {}}'):
        assert not read_npm_audit(text).reached, text
    for text in ("", '{"config": {"db": "the database"}}', '{"SBOM": {"modules": [{}]}} cut of'):
        assert not read_govulncheck(text).reached, text
    assert line("a source", "an index", read_pip_audit("")).startswith("NOT REACHED: a source")


def test_a_source_that_was_reached_is_counted() -> None:
    """What it knows, and how much is wrong."""
    good, bad = {"name": "a", "vulns": []}, {"name": "b", "vulns": [{"id": "1"}, {"id": "2"}]}
    assert read_pip_audit(_pip(good)) == (True, 0, 1)
    assert read_pip_audit(_pip(good, bad)) == (True, 2, 2)
    report = {"metadata": {"vulnerabilities": {"total": 1}, "dependencies": {"total": 30}}}
    assert read_npm_audit(json.dumps(report)) == (True, 1, 30)
    messages: tuple[object, ...] = (
        {"SBOM": {"modules": [{}]}},
        {"finding": {"osv": "GO-1"}},
        {"finding": {"osv": "GO-1"}},
    )
    found = read_govulncheck("\n".join(map(json.dumps, messages)))
    assert found == (True, 1, 1)
    assert line("a source", "an index", found) == "a source: 1 known vulnerabilities"


def test_a_run_that_failed_says_nothing() -> None:
    """govulncheck prints the modules first, and fails when its database cannot be reached."""
    prints = (sys.executable, "-c", "print(1); raise SystemExit(1)")
    assert _run(*prints, must_succeed=True) == ""
    assert _run(*prints) == "1\n"


def test_an_audit_that_reached_no_database_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """It says so. One database that was reached is enough."""
    silent = Source("a", "an index", sys.executable, lambda: Finding(reached=False))
    absent = Source("b", "an index", "/no/such/program", lambda: Finding(reached=True))
    good = Source("c", "an index", sys.executable, lambda: Finding(reached=True))
    bad = Source("d", "an index", sys.executable, lambda: Finding(reached=True, vulnerabilities=1))
    sentence = "No database of vulnerabilities could be reached"
    for sources in ((silent,), (absent,), (silent, absent), ()):
        assert audit(sources) == 1
        assert sentence in capsys.readouterr().out
    assert audit((silent, good)) == 0
    assert audit((good, bad)) == 1
    assert sentence not in capsys.readouterr().out


@pytest.mark.parametrize("program", [sys.executable, "/no/such/program"])
def test_a_source_that_was_not_reached_is_named_by_its_kind(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And by no host: the report may be committed, and a mirror is this machine's own affair."""
    silent = [
        source._replace(program=program, ask=lambda: Finding(reached=False)) for source in SOURCES
    ]
    assert audit(silent) == 1
    said = capsys.readouterr().out
    lines = said.splitlines()[: len(SOURCES)]
    assert all(f" ({source.kind}): " in line for source, line in zip(SOURCES, lines, strict=True))
    assert re.findall(r"://|\b[\w-]+\.(?:com|dev|io|net|org)\b", said) == []
