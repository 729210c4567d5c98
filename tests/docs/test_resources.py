"""docs/testing/resources.md has a row for each scenario and each input that `.venv/bin/python -m tests.resources` measures."""

from pathlib import Path

from tests.resources.__main__ import SCENARIOS
from tests.resources.hostile import KINDS

_PAGE = Path(__file__).parents[2] / "docs/testing/resources.md"


def _first_column(header: str) -> list[str]:
    """Return the first cells of the table that begins with a header."""
    _, _, table = _PAGE.read_text().partition(f"\n| {header} |")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return [row.split("|")[1].strip() for row in rows]


def test_the_page_has_the_scenarios_that_the_command_runs() -> None:
    """In their order."""
    assert _first_column("scenario") == list(SCENARIOS)


def test_the_page_has_the_inputs_whose_growth_the_command_measures() -> None:
    """In their order."""
    assert _first_column("input") == list(KINDS)
