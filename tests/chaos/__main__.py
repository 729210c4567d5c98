"""`make chaos`: faults of every kind for some minutes, and the checker's verdict.

    .venv/bin/python -m tests.chaos --minutes 60 --seed 7

Ctrl-C ends the run in order, with what it has; a second one stops at once. The last results of the callers come after
the minutes, within two more. The exit code is 1 if a promise was broken, 2 for wrong arguments, and 3 if
the machine was too busy for a judgement.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import argparse
import secrets
import shlex
import signal
import sys
import time
from pathlib import Path

import msgspec

from tests.arguments import parser_of, positive
from tests.chaos.books import MARK, Books
from tests.chaos.checker import check
from tests.chaos.report import (
    PASSED,
    default_file,
    exit_code,
    print_history,
    print_outcome,
    print_too_busy,
    progress_printer,
    replay,
    write_books,
)
from tests.chaos.run import Run
from tests.endings import exit_with


def main() -> int:
    """Run, and print the table. Return 1 if a promise was broken."""
    parser = make_parser()
    chosen = parser.parse_args()
    if chosen.check is not None:
        return check_again(chosen.check)
    if chosen.books is not None and not chosen.books.parent.is_dir():
        parser.error(f"there is no directory {chosen.books.parent} for the books")
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
    if chosen.books is not None or not is_good:
        file = write_books(outcome, chosen.books or default_file(chosen.seed))
        print(
            f"the books are in {file}; check them again with:"
            f" .venv/bin/python -m tests.chaos --check {shlex.quote(str(file))}"
        )
    if not is_good:
        print(f"similar faults again: {replay(chosen)}")
    return exit_code(outcome.verdict, outcome.problems)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = parser_of("tests.chaos", __doc__)
    parser.add_argument("--minutes", type=positive, default=10, help="of faults; 10 unless given")
    parser.add_argument(
        "--seed",
        type=int,
        default=secrets.randbelow(1_000_000),
        help="gives similar faults again; drawn unless given",
    )
    parser.add_argument("--events-a-second", type=positive, default=120, help="120 unless given")
    parser.add_argument(
        "--books",
        type=Path,
        metavar="FILE",
        help="write the books there, also if the run passed; unless given, only those of a run that did not"
        " pass are written, to chaos-SEED.json in the directory of temporary files",
    )
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="run nothing: check the books of an earlier run"
    )
    return parser


def check_again(file: Path) -> int:
    """Check the books in a file, and print what each broken rule is about."""
    try:
        books = msgspec.json.decode(file.read_bytes(), type=Books)
    except OSError as fault:
        print(f"{file} cannot be read: {fault.strerror}.", file=sys.stderr)
        return 2
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        print(f"{file} does not hold the books of a run: {fault}.", file=sys.stderr)
        return 2
    if not books.sent:
        print(f"{file} does not hold the books of a run: there is no event in it.", file=sys.stderr)
        return 2
    verdict = check(books)
    for problem in books.problems:
        print(problem)
    for violation in verdict.violations:
        print(violation)
        print_history(books, {violation.mark, *MARK.findall(violation.text)})
    print_too_busy(verdict)
    code = exit_code(verdict, books.problems)
    if not code:
        print(PASSED)
    return code


if __name__ == "__main__":
    exit_with(main)
