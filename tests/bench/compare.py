"""Compare the server CPU of this working tree with that of another revision.

    make bench-compare BASE=main
    .venv/bin/python -m tests.bench.compare main --json ratios.json

The revision is set up in a temporary worktree by its own `make setup`, with the versions that its constraints.txt
names. Both servers get the same load from this tree, in turns. A ratio below 1 means that this tree takes less. The
spread is that of the pairs of runs: a ratio that is within the spread of 1 says nothing. What was set up is removed at the
end, after Ctrl-C too.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from tests.arguments import parser_of, positive_int

from . import machine, revision, service
from .delivery import NullCustomerio
from .endings import exit_when_interrupted
from .implementations import LABELS, compiled_is_missing, installed
from .server_process import take_load_core
from .tables import Table, micros

SIZES = (10, 100, 500)
ROUNDS = 7


async def measure(
    base_python: Path, rounds: int = ROUNDS, sizes: Sequence[int] = SIZES
) -> dict[str, Any]:
    """Measure both: IMPLEMENTATION, then CALL, then SIZE, with medians in µs an event and the ratios of pairs."""
    found: dict[str, Any] = {}
    base_is_pure = compiled_is_missing(base_python)
    for name in installed():
        base_name = "python" if base_is_pure else name
        if base_name != name:
            machine.log(
                f"compare: the base has no {LABELS[name]} ({base_is_pure}): {LABELS[base_name]}"
            )
        with ExitStack() as stack:
            null = stack.enter_context(NullCustomerio())
            base = service.sidecar_cases(stack, null, base_name, base_python)
            this = service.sidecar_cases(stack, null, name)
            found[name] = {
                "base_is": base_name,
                "calls": await _pairs(name, base, this, rounds, sizes),
            }
    return found


async def _pairs(
    name: str,
    base: Sequence[service.Case],
    this: Sequence[service.Case],
    rounds: int,
    sizes: Sequence[int],
) -> dict[str, Any]:
    found: dict[str, Any] = defaultdict(dict)
    for base_case, this_case in zip(base, this, strict=True):
        machine.log(f"compare: {LABELS[name]}, {this_case.call}")
        for case in (base_case, this_case):
            await case.drive(100)  # warms up
        for size in sizes:
            pairs = []
            for number in range(rounds):
                # Each is first in half of the rounds.
                order = (base_case, this_case) if number % 2 else (this_case, base_case)
                cpu_us = {case: (await case.drive(size)).server_cpu_us_per_event for case in order}
                pairs.append((cpu_us[base_case], cpu_us[this_case]))
            found[this_case.call][str(size)] = _ratios(pairs)
    return dict(found)


def _ratios(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    ratios = [this / base for base, this in pairs]
    return {
        "base_cpu_us": statistics.median(base for base, _ in pairs),
        "this_cpu_us": statistics.median(this for _, this in pairs),
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
    }


def tables(found: dict[str, Any], base: str) -> list[Table]:
    """Return a table of each implementation."""
    header = ["events a message", f"{base}, µs", "this, µs", "this / base", "lowest to highest"]
    shown = []
    for name, one in found.items():
        rows = [
            [
                f"{call.replace('_', ' ')}, {size}",
                micros(figures["base_cpu_us"]),
                micros(figures["this_cpu_us"]),
                f"{figures['ratio']:.2f}",
                f"{figures['ratio_lowest']:.2f} to {figures['ratio_highest']:.2f}",
            ]
            for call, by_size in one["calls"].items()
            for size, figures in by_size.items()
        ]
        against = (
            "" if one["base_is"] == name else f", against {LABELS[one['base_is']]} of the base"
        )
        shown.append(Table(f"{LABELS[name]}{against}, server CPU an event, medians", header, rows))
    return shown


def main() -> None:
    """Set up the revision, measure, print the ratios, and remove what was set up."""
    parser = parser_of("tests.bench.compare", __doc__)
    parser.add_argument(
        "base", metavar="REVISION", help="a commit, a branch or a tag to compare with"
    )
    parser.add_argument("--rounds", type=positive_int, default=ROUNDS, help="pairs: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    chosen = parser.parse_args()
    try:
        commit = revision.resolve(chosen.base)
    except revision.RevisionError as fault:
        parser.error(str(fault))
    with exit_when_interrupted():
        try:
            _run(chosen, commit)
        except revision.RevisionError as fault:
            sys.exit(f"bench-compare: {fault}")


def _run(chosen: argparse.Namespace, commit: str) -> None:
    other_work = machine.OtherWork()
    with revision.checked_out(commit) as base_python:
        take_load_core()
        found = uvloop.run(measure(base_python, chosen.rounds))
    share = other_work.share()
    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in tables(found, chosen.base):
        table.show(console)
    console.print(f"{chosen.base} is {commit[:12]}. Other work took {share:.0%} of the processors.")
    if chosen.json:
        chosen.json.write_text(json.dumps({"base": commit, "compare": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
