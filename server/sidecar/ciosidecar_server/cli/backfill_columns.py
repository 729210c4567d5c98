"""The options of `ciosidecar backfill` that say how rows of Parquet files become events."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..backfill.parquet.mapping import BadMapping, ColumnMap, column_map
from .files import read_file
from .outcome import EXIT_USAGE, Failed


@dataclass(frozen=True, kw_only=True)
class ColumnOptions:
    """How the rows of Parquet files become events."""

    events_column: str = ""
    """Column of Parquet files that has the events: JSON as text or bytes, or a struct."""

    map: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """FIELD=COLUMN for Parquet files whose columns are fields of the event, as in userId=user_id or
    properties.total=total; may be given several times. FIELD=COLUMN:json is for text that is JSON, and
    FIELD='"text"' for a fixed text."""

    column_map: Path | None = None
    """File of such a mapping: {"userId": "user_id", "properties": "props", "type": {"value": "track"}}."""

    def mapping(self) -> ColumnMap | None:
        """Return the mapping, or None without one.

        Raises:
            Failed: The options are no mapping. The text says why.
        """
        mapping_file = None if self.column_map is None else read_file(self.column_map)
        try:
            return column_map(self.events_column, self.map, mapping_file)
        except BadMapping as problem:
            raise Failed(str(problem), EXIT_USAGE) from None
