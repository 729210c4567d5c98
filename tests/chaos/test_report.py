"""What a run of chaos prints and writes: nothing that a reader needs is left out."""

import argparse
import random
import shlex
import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from ciosidecar import Result, Tls

from tests.chaos.__main__ import check_again, make_parser
from tests.chaos.books import Books, Sent, Told
from tests.chaos.callers import Caller, _Pending
from tests.chaos.checker import Verdict
from tests.chaos.events import Plan
from tests.chaos.report import print_outcome, replay, write_books
from tests.chaos.run import Outcome


def outcome_of(books: Books, results: Counter[str], lost: int = 0) -> Outcome:
    """An outcome of a run with these books, in which no rule was broken."""
    return Outcome(
        books=books,
        verdict=Verdict(),
        injected=Counter(),
        results=results,
        lost=lost,
        events=len(books.sent),
        sent=results.total() + lost,
        arrivals=0,
        reconnects=0,
    )


def test_a_lost_connection_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line for results and one for what ended without; the codes are those of results."""
    print_outcome(outcome_of(Books(), Counter({"200": 7, "BLOCKED": 2}), lost=5), 1.0)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "14 sent, repeats of the callers included" in lines
    assert "9 ended by a result" in lines
    assert "5 ended without one: a lost connection, or the time limit of a call" in lines
    codes = lines[lines.index("results by code:") + 1 :]
    assert codes[:2] == ["7 200", "2 BLOCKED"]


def test_a_caller_counts_lost_connections_by_themselves() -> None:
    """What has no result is sent again, and is in the book with the status 0."""
    dice = random.Random(1)
    plan = Plan("one", "a", "v1", dice, prepared=False)
    caller = Caller(plan, "calls", "127.0.0.1:1", Tls(), dice, threading.Event(), 1.0)
    planned, destination = plan.next()
    pending = _Pending(planned, destination, Sent("chaos-one-1", "one", ()), b"{}")
    assert caller._note(pending, None)
    assert not caller._note(pending, Result(position=0, status=200))
    assert (caller.results, caller.lost, caller.ended) == (Counter({"200": 1}), 1, 2)
    assert [told.status for told in pending.book.told] == [0, 200]


def test_the_books_have_the_problems_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that failed for them alone fails again when its books are checked, and says why."""
    event = Sent("chaos-one-1", "one", (), bad=True, sent=[1.0], told=[Told(2.0, 400, "REFUSED")])
    outcome = outcome_of(Books([event], problems=["exit code 1 after SIGTERM"]), Counter("a"))
    file = write_books(outcome, tmp_path / "books.json")
    assert msgspec.json.decode(file.read_bytes(), type=Books).problems == outcome.problems
    assert not print_outcome(outcome, 1.0)
    assert "exit code 1 after SIGTERM" in capsys.readouterr().err
    assert check_again(file) == 1
    assert capsys.readouterr().out == "exit code 1 after SIGTERM\n"
    outcome.books.problems.clear()
    assert check_again(write_books(outcome, file)) == 0


@pytest.mark.parametrize(
    "given",
    [
        "--minutes 0.5 --seed 7",
        "--minutes 60 --seed 7 --events-a-second 12.5 --books '/a directory/books.json'",
    ],
)
def test_the_line_that_replays_a_run_has_all_its_arguments(given: str) -> None:
    """Given or drawn: what is parsed from the line is what the run had."""
    parser = make_parser()
    chosen = parser.parse_args(shlex.split(given))
    program, line = replay(chosen).split(" --", 1)
    assert program == ".venv/bin/python -m tests.chaos"
    assert parser.parse_args(shlex.split(f"--{line}")) == chosen
    drawn = parser.parse_args([])
    assert parser.parse_args(shlex.split(replay(drawn))[3:]) == drawn
    assert "2.0" not in replay(argparse.Namespace(minutes=2.0))
