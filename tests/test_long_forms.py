"""The arguments and the verdicts of the long forms of the tests. tests/test_endings.py has how they end."""

import json
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.books import Books
from tests.chaos.checker import Verdict
from tests.chaos.report import print_outcome
from tests.chaos.run import Outcome

WRONG = (
    ("chaos", "--minutes -1", "must be a finite number above 0"),
    ("chaos", "--minutes 0", "must be a finite number above 0"),
    ("chaos", "--minutes nan", "must be a finite number above 0"),
    ("chaos", "--minutes inf", "must be a finite number above 0"),
    ("chaos", "--minutes long", "long is not a number"),
    ("chaos", "--events-a-second 0", "must be a finite number above 0"),
    ("chaos", "--hours 1", "unrecognized arguments: --hours"),
    ("chaos", "--books /nowhere/books.json", "there is no directory /nowhere for the books"),
    ("chaos", "--check /nowhere", "/nowhere cannot be read: No such file"),
    ("chaos", "--check /", "/ cannot be read: Is a directory"),
    ("chaos.breaks", "nothing", "no such break: nothing; there are: send twice; "),
    ("chaos.breaks", "--seconds 0", "must be a finite number above 0"),
    ("fuzz", "nothing", "no such target: nothing; there are: properties; wire; event"),
    ("fuzz", "--minutes 0", "must be a finite number above 0"),
    ("fuzz", "event --seed 1", "--seed replays a round of the wire"),
    ("native.compare", "nothing", "no such target: nothing; there are: unix_millis; hashed_ulid"),
    ("native.compare", "--cases 0", "0 is not a whole number from 1 on"),
    ("properties", "--minutes 0", "must be a finite number above 0"),
    ("properties", "--examples 0.5", "0.5 is not a whole number"),
    ("bench.transports", "nothing", "no such client: nothing; there are: "),
    ("bench.transports", "--repeats 0", "0 is not a whole number from 1 on"),
    ("resources", "nothing", "no such scenario: nothing; there are: 20 events nested"),
    ("scale", "nothing", "no such long form: nothing; there are: affinity; "),
    ("soak", "--minutes 0", "must be a finite number above 0"),
    ("soak.steady", "0", "must be a finite number above 0"),
    ("soak.steady", "1 LEAK", "LEAK is not NAME=VALUE"),
    ("soak.steady", "1 LEAK=all", "no such leak: all; there are: memory; descriptor"),
    ("soak.steady", "1 LEAK=memory", "LEAK=memory and LEAK_BYTES belong together"),
    ("soak.steady", "1 LEAK=memory LEAK_BYTES=x", "x is not a whole number"),
    ("soak.steady", "1 SIZE=1", "no such name: SIZE"),
    ("soak.delivery", "--events 0", "0 is not a whole number from 1 on"),
    ("soak.delivery", "--faults nonsense", "'nonsense' is not a fault"),
    ("mutants", "--sample 0", "0 is not a whole number from 1 on"),
    ("mutants", "--part all", "invalid choice: 'all'"),
)
MODULES = sorted({module for module, _, _ in WRONG})


def _exit_code(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the main function of a long form in this process."""
    package = Path(__file__).parent.joinpath(*module.split("."))
    name = f"tests.{module}.__main__" if package.is_dir() else f"tests.{module}"
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    try:
        return int(import_module(name).main())
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize(("module", "arguments", "expected"), WRONG)
def test_wrong_arguments_are_told_and_run_nothing(
    module: str,
    arguments: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exit code is 2, as argparse has it."""
    assert _exit_code(module, arguments.split(), monkeypatch) == 2
    shown = capsys.readouterr()
    assert expected in shown.err
    assert not shown.out


@pytest.mark.parametrize("module", MODULES)
def test_help_can_be_copied(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the Python of the repository, and shows the docstring as it is written."""
    assert _exit_code(module, ["--help"], monkeypatch) == 0
    assert capsys.readouterr().out.startswith(f"usage: .venv/bin/python -m tests.{module} ")


def test_no_property_of_a_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A round that would try nothing is no good round."""
    assert _exit_code("properties", ["--only", "no_such_property"], monkeypatch) == 2
    assert 'no property with "no_such_property" in its name' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "there is no event in it"),
        ("[]", "Expected `object`, got `array`"),
        ('{"sent":[', "Input data was truncated"),
        ("", "Input data was truncated"),
        ('{"sent":[{"mark":1}]}', "Expected `str`, got `int`"),
        ("\udcff", "JSON is malformed"),
    ],
)
def test_a_file_that_is_no_book_of_chaos_is_refused(
    text: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says nothing about promises."""
    file = tmp_path / "books.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert _exit_code("chaos", ["--check", str(file)], monkeypatch) == 2
    shown = capsys.readouterr()
    assert expected in shown.err
    assert not shown.out


def test_a_book_of_chaos_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An event that was told delivered and never arrived is lost. A rejected one is not."""
    told: dict[str, Any] = {"at": 2.0, "status": 200}
    event: dict[str, Any] = {
        "mark": "chaos-one-1",
        "stream": "one",
        "keys": ["a"],
        "sent": [1.0],
        "told": [told],
    }
    file = tmp_path / "books.json"
    file.write_text(json.dumps({"sent": [event]}))
    assert _exit_code("chaos", ["--check", str(file)], monkeypatch) == 1
    assert "lost: chaos-one-1" in capsys.readouterr().out
    told |= {"status": 400, "code": "MISSING_IDENTITY"}
    event |= {"bad": True}
    file.write_text(json.dumps({"sent": [event]}))
    assert _exit_code("chaos", ["--check", str(file)], monkeypatch) == 0
    assert capsys.readouterr().out == "passed: no rule was broken\n"


def test_the_last_line_of_chaos_is_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """A run without faults says that it shows little."""
    outcome = Outcome(
        books=Books(),
        verdict=Verdict(),
        injected=Counter(),
        results=Counter(),
        lost=0,
        events=0,
        sent=0,
        arrivals=0,
        reconnects=0,
    )
    assert print_outcome(outcome, 1.0)
    shown = capsys.readouterr().out
    assert shown.endswith("passed: no rule was broken\n")
    assert "no fault was injected" in shown
    outcome.problems.append("a caller ended")
    assert not print_outcome(outcome, 1.0)
    shown = capsys.readouterr().out
    assert shown.endswith("FAILED: broken promises: 1\n")
