"""What a run of chaos prints: a line while it goes, and a table at its end."""

import shlex
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tests.chaos.books import Books
from tests.chaos.checker import Verdict
from tests.chaos.probes import LATE_S
from tests.chaos.run import Outcome, Progress

PASSED = "passed: no rule was broken"
TOO_BUSY = 3
"""The exit code of a run that broke no rule, on a machine that was too busy to show anything."""
_MAX_SHOWN = 30


def progress_printer() -> Callable[[Progress], None]:
    """Return a function that prints progress every few seconds: on one line of a terminal."""
    is_terminal = sys.stdout.isatty()
    every_s = 2.0 if is_terminal else 30.0
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < every_s:
            return
        last = time.monotonic()
        line = (
            f"{progress.left_s:5.0f} s left: {progress.events:,} events, {progress.results:,} results,"
            f" {progress.arrivals:,} arrivals, {progress.faults:,} faults"
        )
        print(
            f"\r{line}\033[K" if is_terminal else line, end="" if is_terminal else "\n", flush=True
        )

    return show


def print_outcome(outcome: Outcome, took_s: float) -> bool:
    """Print the table of a run. Return True if no promise was broken, and the machine was not too busy."""
    verdict = outcome.verdict
    print(f"\n{took_s:.0f} s")
    for name, number in (
        ("events", outcome.events),
        ("sent, repeats of the callers included", outcome.sent),
        ("ended by a result", outcome.results.total()),
        ("ended without one: a lost connection, or the time limit of a call", outcome.lost),
        ("arrivals", outcome.arrivals),
        ("arrivals that repeat an earlier one", verdict.repeats),
        ("reconnects of streams", outcome.reconnects),
        ("events that a lost connection let pass an earlier one", verdict.reordered),
        (
            f"of {verdict.seconds:,.0f} s, in which a program got no CPU for {LATE_S:g} s or longer",
            round(verdict.starved_s),
        ),
        ("repeats that only this explains", verdict.starved_repeats),
    ):
        print(f"  {number:>9,}  {name}")
    _print_counts("faults injected", outcome.injected)
    _print_counts("results by code", outcome.results)
    _print_counts("why arrivals were repeated", verdict.explanations)
    if not outcome.injected:
        print("NOTE: no fault was injected, so this run shows little")
    if not verdict.repeats:
        print("NOTE: no arrival was repeated, so this run says nothing about repeats")
    if verdict.violations:
        _print_counts("broken rules", Counter(violation.rule for violation in verdict.violations))
    print_too_busy(verdict)
    broken = outcome.problems + [str(violation) for violation in verdict.violations]
    if broken:
        print(f"FAILED: broken promises: {len(broken):,}", flush=True)
    elif not verdict.too_busy:
        print(PASSED, flush=True)
    for text in broken[:_MAX_SHOWN]:
        print(f"  {text}", file=sys.stderr)
    if len(broken) > _MAX_SHOWN:
        print(f"  and {len(broken) - _MAX_SHOWN:,} more", file=sys.stderr)
    return not broken and not verdict.too_busy


def print_too_busy(verdict: Verdict) -> None:
    """Say that a run shows nothing, if the machine was too busy."""
    if verdict.too_busy:
        print(f"NOT JUDGED: the machine was too busy: {verdict.too_busy}", file=sys.stderr)


def exit_code(verdict: Verdict, problems: Sequence[str] = ()) -> int:
    """Return 1 if a promise was broken, TOO_BUSY if the run shows nothing, else 0."""
    if verdict.violations or problems:
        return 1
    return TOO_BUSY if verdict.too_busy else 0


def default_file(seed: int) -> Path:
    """Return the file for the books of a run that failed, if none was named."""
    return Path(tempfile.gettempdir()) / f"chaos-{seed}.json"


def write_books(outcome: Outcome, file: Path) -> Path:
    """Write the books of a run into a file, and return its path."""
    file.write_bytes(msgspec.json.encode(outcome.books))
    return file


def replay(chosen: Namespace) -> str:
    """Return the command that runs with the same arguments once more, those that were not given included."""
    words = [".venv/bin/python", "-m", "tests.chaos"]
    for name, value in vars(chosen).items():
        if value is not None:
            words += ["--" + name.replace("_", "-"), str(value).removesuffix(".0")]
    return shlex.join(words)


def print_history(books: Books, marks: set[str]) -> None:
    """Print what became of some events, in the order of time, with the faults around it."""
    lines: list[tuple[float, str]] = []
    links = {"sidecar"}
    peers = set()
    for event in books.sent:
        if event.mark in marks:
            links.add(event.stream)
            lines += [(at, f"{event.mark} sent") for at in event.sent]
            lines += [
                (told.at, f"{event.mark} told {told.status} {told.code}") for told in event.told
            ]
    for arrival in books.arrivals:
        if marks.intersection(arrival.marks):
            peers.add(arrival.peer)
            shown = f"{'+'.join(arrival.marks)} arrives as {arrival.number}: {arrival.result}"
            lines.append(
                (arrival.received_at, f"{shown} {arrival.fault} {arrival.answer} {arrival.peer}")
            )
            lines.append((arrival.answered_at, f"  {arrival.number} answered {arrival.status}"))
    first, last = min(lines, default=(0.0, ""))[0] - 10, max(lines, default=(0.0, ""))[0] + 10
    for fault in books.faults:
        if (
            first < fault.end
            and fault.start < last
            and (fault.link in links or fault.peer in peers)
        ):
            shown = f"{fault.link} {fault.kind} for {fault.end - fault.start:.3f} s {fault.peer}"
            lines.append((fault.start, f"    FAULT {shown}"))
    for one in books.starved:
        if first < one.end and one.start < last:
            lines.append((one.start, f"    STARVED {one.link} for {one.end - one.start:.3f} s"))
    for at, line in sorted(lines):
        print(f"    {at - first:8.3f} {line}")


def _print_counts(title: str, counts: Counter[str]) -> None:
    print(f"{title}:" if counts else f"{title}: none")
    for name, number in counts.most_common():
        print(f"  {number:>9,}  {name}")
