"""Arguments that several of the long forms take: their checks, and what a wrong one is told."""

import argparse
from collections.abc import Iterable, Sequence


def positive(text: str) -> float:
    """Return a number above 0, for `type=` of argparse."""
    return _above_zero(float(text))


def positive_int(text: str) -> int:
    """Return a whole number above 0, for `type=` of argparse."""
    return int(_above_zero(int(text)))


def require_known(
    parser: argparse.ArgumentParser, noun: str, names: Sequence[str], known: Iterable[str]
) -> None:
    """End with exit code 2, and with the names that there are, if one of the names is not known."""
    there_are = list(known)
    for name in names:
        if name not in there_are:
            parser.error(f"no such {noun}: {name}; there are: {', '.join(there_are)}")


def _above_zero(number: float) -> float:
    # Written so that NaN is wrong too.
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return number
