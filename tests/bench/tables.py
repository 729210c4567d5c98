"""Tables of figures, for a terminal and for a page."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

_ROUNDED = re.compile(r"\*\*|`")


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows, and sentences below it. Cells are Markdown."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def show(self, console: Console) -> None:
        """Print the table, without Markdown's marks."""
        table = RichTable(title=self.title, title_justify="left", box=box.SIMPLE_HEAD)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*(_ROUNDED.sub("", cell) for cell in row))
        console.print(table)
        for note in self.notes:
            console.print(_ROUNDED.sub("", note), highlight=False)

    def markdown(self) -> str:
        """Return the title, the table and the notes as Markdown."""
        lines = [f"{self.title[0].upper()}{self.title[1:]}:", ""]
        lines += [_row(self.columns), "|---" * len(self.columns) + "|"]
        lines += [_row(row) for row in self.rows]
        if self.notes:
            lines += ["", *(f"* {note}" for note in self.notes)]
        return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def counted(number: float) -> str:
    """Return a count or a rate with its thousands."""
    return f"{number:,.0f}"


def micros(number: float) -> str:
    """Return µs with one decimal below a hundred, and with none from there on."""
    return f"{number:.1f}" if number < 99.95 else f"{number:,.0f}"
