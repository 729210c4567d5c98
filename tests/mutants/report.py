"""The report: docs/testing/mutants.json with every mutant of the sample, and the tables in docs/testing/mutants.md."""

from .mutants import Mutant
from .results import Result


def write(mutants: list[Mutant], results: dict[str, Result], seed: int) -> int:
    return 0
