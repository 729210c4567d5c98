"""Some minutes of chaos: whatever fails, no promise of delivery is broken."""

import os
import secrets
from argparse import Namespace

import pytest

from tests.chaos import proxy, sidecars
from tests.chaos.report import (
    TOO_BUSY,
    default_file,
    exit_code,
    print_outcome,
    replay,
    write_books,
)
from tests.chaos.run import EVENTS_A_SECOND, Run

SECONDS = 230
"""With its start and its last rounds, about five minutes beside other programs."""


@pytest.mark.serial
@pytest.mark.timeout(1800)  # A bound for two runs that hang, not a measure.
def test_every_promise_is_kept_under_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing lost, nothing told wrongly, one result each, in order, and each repeat explained.

    A machine that is too busy for a judgement gets a second run, with half of the events.
    """
    seed = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
    again = Namespace(minutes=SECONDS / 60, seed=seed, events_a_second=EVENTS_A_SECOND)
    outcome = Run(SECONDS, seed, again.events_a_second).go()
    if exit_code(outcome.verdict, outcome.problems) == TOO_BUSY:
        again.events_a_second /= 2
        outcome = Run(SECONDS, seed, again.events_a_second).go()
    is_good = print_outcome(outcome, SECONDS)
    shown = "".join(capsys.readouterr())
    books = "" if is_good else f"the books are in {write_books(outcome, default_file(seed))}"
    assert is_good, f"SEED={seed}: {replay(again)}; {books}\n{shown}"
    # A run without faults, or without repeats, would prove nothing.
    assert outcome.verdict.repeats > 0, shown
    assert outcome.results["200"] > 0, shown
    kinds = set(outcome.injected)
    assert {f"customerio: {kind}" for kind in proxy.KINDS} & kinds, shown
    assert {f"sidecar: {kind}" for kind in sidecars.KINDS} & kinds, shown
