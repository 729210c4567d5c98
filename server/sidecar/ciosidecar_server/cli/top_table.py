"""A table of `ciosidecar top`: as narrow as the terminal allows, with a remark below a row."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_GAP = 2
_INDENT = 4
_NARROWEST = 11
"""The width below which a column does not fold: that of "destination"."""


class Column(NamedTuple):
    """A column, and how it may be written."""

    name: str
    is_number: bool = False
    folds: bool = False
    """Whether the column gives way in a narrow terminal. The others stay in one piece, so that they can be copied."""


class Row(NamedTuple):
    """The cells of a row, and the remark that follows on lines of its own."""

    cells: Sequence[Text]
    remark: Text | None = None


class TopTable:
    """A table with a title."""

    def __init__(
        self, title: str, columns: Sequence[Column], rows: Sequence[Row], more: int = 0
    ) -> None:
        """Prepare. more: the number of rows that are left out."""
        self._title = title
        self._columns = columns
        self._rows = rows
        self._more = more

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, the rows with their remarks, and how many rows are left out."""
        del console
        yield Text(self._title, "bold italic")
        if not self._rows:
            yield Text(f"no {self._title.lower()}", "dim")
            return
        widths = self._widths(options.max_width)
        yield self._line([Text(column.name, "bold") for column in self._columns], widths)
        for row in self._rows:
            yield self._line(row.cells, widths)
            if row.remark is not None:
                yield Padding(row.remark, (0, 0, 0, _INDENT))
        if self._more:
            yield Text(f"and {self._more:,} more: see --json", "dim")

    def _widths(self, room: int) -> list[int]:
        """Return the widths of the columns. The widest of those that fold give way first."""
        widths = [
            max(len(column.name), *(row.cells[number].cell_len for row in self._rows))
            for number, column in enumerate(self._columns)
        ]
        foldable = [number for number, column in enumerate(self._columns) if column.folds]
        while sum(widths) + _GAP * (len(widths) - 1) > room:
            widest = max(foldable, key=widths.__getitem__)
            if widths[widest] <= _NARROWEST:
                break
            widths[widest] -= 1
        return widths

    def _line(self, cells: Sequence[Text], widths: Sequence[int]) -> Table:
        line = Table.grid(padding=(0, _GAP, 0, 0))
        for column, width in zip(self._columns, widths, strict=True):
            justify: JustifyMethod = "right" if column.is_number else "left"
            line.add_column(width=width, justify=justify, overflow="fold")
        line.add_row(*cells)
        return line
