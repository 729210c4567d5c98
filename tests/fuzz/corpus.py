"""The inputs that are kept: seeds of the fuzzer by hand, and what it has found."""

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
"""A directory for each target."""
FOUND = Path(__file__).parent / "found"
"""The same, of inputs that once broke a promise. Each is a test from then on."""


def inputs(target: str) -> list[Path]:
    """Return the files of a target, seeds and findings."""
    return sorted(path for kept in (CORPUS, FOUND) for path in (kept / target).glob("*"))
