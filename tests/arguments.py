"""Arguments that several of the long forms take: their checks, and what a wrong one is told."""

import argparse
from collections.abc import Iterable, Sequence


def parser_of(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a long form. Its `--help` shows the module's docstring as it is written."""
    return argparse.ArgumentParser(
        prog=f".venv/bin/python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def positive(text: str) -> float:
    """Return a number above 0, for `type=` of argparse."""
    try:
        return _above_zero(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a number") from None


def positive_int(text: str) -> int:
    """Return a whole number above 0, for `type=` of argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return number


def require_known(
    parser: argparse.ArgumentParser, noun: str, names: Sequence[str], known: Iterable[str]
) -> None:
    """End with exit code 2, and with the names that there are, if one of the names is not known."""
    there_are = list(known)
    for name in names:
        if name not in there_are:
            parser.error(f"no such {noun}: {name}; there are: {'; '.join(there_are)}")


def _above_zero(number: float) -> float:
    # Written so that NaN is wrong too.
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be a finite number above 0")
    return number
