"""`make chaos`: faults of every kind for some minutes, and the checker's verdict.

    python -m tests.chaos --minutes 60 --seed 7

Ctrl-C ends the run in order, with what it has. The exit code is 3 if the machine was too busy for a judgement.
"""

import argparse
import secrets
import signal
import sys
import time
from pathlib import Path

import msgspec

from tests.chaos.books import MARK, Books
from tests.chaos.checker import check
from tests.chaos.report import (
    exit_code,
    print_history,
    print_outcome,
    print_too_busy,
    progress_printer,
    write_books,
)
from tests.chaos.run import Run


def main() -> None:
    """Run, print the table, and exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--events-a-second", type=float, default=120)
    parser.add_argument("--check", type=Path, help="check the books of an earlier run again")
    chosen = parser.parse_args()
    if chosen.check is not None:
        sys.exit(_check_again(chosen.check))
    print(f"SEED={chosen.seed}, {chosen.minutes:g} minutes", flush=True)
    run = Run(chosen.minutes * 60, chosen.seed, chosen.events_a_second, progress_printer())

    def end(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nending: the callers finish what they sent; Ctrl-C again stops at once", flush=True)
        run.enough.set()

    signal.signal(signal.SIGINT, end)
    start = time.monotonic()
    outcome = run.go()
    is_good = print_outcome(outcome, time.monotonic() - start)
    if not is_good:
        file = write_books(outcome, chosen.seed)
        print(
            f"the books are in {file}; check them again with: python -m tests.chaos --check {file}"
        )
        print(f"replay the schedule with: make chaos MINUTES={chosen.minutes:g} SEED={chosen.seed}")
    sys.exit(exit_code(outcome.verdict, outcome.problems))


def _check_again(file: Path) -> int:
    """Check the books in a file, and print what each broken rule is about."""
    books = msgspec.json.decode(file.read_bytes(), type=Books)
    verdict = check(books)
    for violation in verdict.violations:
        print(violation)
        print_history(books, {violation.mark, *MARK.findall(violation.text)})
    print_too_busy(verdict)
    return exit_code(verdict)


if __name__ == "__main__":
    main()
