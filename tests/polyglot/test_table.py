"""docs/clients.md says what every client has; this suite plays every line of it."""

import pytest

from .languages import ROOT
from .scenarios import SCENARIOS

COLUMNS = 7
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "clients.md").read_text().splitlines()
    if line.startswith("|") and not line.startswith(("| |", "|---"))
]
ROWS = [row for row in TABLE if not row[0].startswith("**")]
KNOWN = {scenario.name for scenario in SCENARIOS} | {"test_patience", "test_affinity"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_line_of_the_table_is_played(row: list[str]) -> None:
    """It names scenarios that there are."""
    assert len(row) == COLUMNS
    named = set(row[-1].split(", "))
    assert named <= KNOWN, named - KNOWN


def test_the_table_is_read() -> None:
    """A table of another form would pass in silence."""
    assert len(ROWS) > 30
