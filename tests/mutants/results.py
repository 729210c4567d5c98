"""What became of each mutant, a line each, so that a run can go on after it was ended."""

import json
from pathlib import Path
from typing import NamedTuple

from .parts import KEPT

DEAD = ("killed", "timed out")
"""The outcomes of mutants that tests notice."""


class Result(NamedTuple):
    """What became of one mutant."""

    name: str
    operator: str
    outcome: str
    """"killed", "timed out", "survived", "no test", or "undecided": only tests failed that fail unmutated, too."""
    test: str
    """The test that failed, or that ran when the time was over."""
    seconds: float


def _file(seed: int) -> Path:
    return KEPT / f"results-{seed}.jsonl"


def append(seed: int, result: Result) -> None:
    """Keep a result."""
    with _file(seed).open("a") as file:
        file.write(json.dumps(result._asdict(), ensure_ascii=False) + "\n")


def read(seed: int) -> dict[str, Result]:
    """Return the last result of each mutant that was tried, by its name."""
    if not _file(seed).exists():
        return {}
    rows = map(json.loads, _file(seed).read_text().splitlines())
    return {row["name"]: Result(**row) for row in rows}
