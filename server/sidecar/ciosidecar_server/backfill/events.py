"""Lines of the input → events with their destinations, read once for each config."""

from typing import NamedTuple

from ciosidecar_transform import (
    Connection,
    ErrorCode,
    EventRejected,
    Outcome,
    read_connection,
    read_destination,
)
from ciosidecar_transform.outcomes import rejected
from ciosidecar_transform.settings.destination import unusable
from ciosidecar_transform.settings.dynamic import AnyDestination

from ..jsonl.reading import MAX_LINE_BYTES, BadLine, Line, parse_line
from .tasks import Job

_MAX_KNOWN = 1000


class ReadEvent(NamedTuple):
    """An event that can be transformed."""

    line: Line
    destination: AnyDestination
    connection: Connection | None


class LineReader:
    """Reads the lines of a backfill."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._destinations: dict[bytes, AnyDestination | Outcome] = {}
        self._connections: dict[bytes, Connection] = {}

    def parse(self, row: bytes, problem: str = "") -> Line | Outcome:
        """Return the event of a line with the configs that hold for it, or why there is none.

        Args:
            row: The line.
            problem: Why the row of a table is no event; "" if it is one, and for lines.
        """
        if problem:
            return rejected(EventRejected(ErrorCode.INVALID_JSON, problem))
        if not row:
            return rejected(
                EventRejected(
                    ErrorCode.TOO_LARGE, f"the line is longer than {MAX_LINE_BYTES} bytes"
                )
            )
        try:
            line = parse_line(row, self._job.config)
        except BadLine as bad_line:
            return rejected(EventRejected(ErrorCode.INVALID_JSON, str(bad_line)))
        return line if line.connection else line._replace(connection=self._job.connection)

    def read(self, row: bytes, problem: str = "") -> ReadEvent | Outcome:
        """Return the event of a line with its destination, or why there is none. Arguments as for `parse`."""
        line = self.parse(row, problem)
        if not isinstance(line, Line):
            return line
        destination = self._destination(line.config)
        if isinstance(destination, Outcome):
            return destination
        return ReadEvent(line, destination, self._connection(line.connection))

    def _destination(self, config: bytes) -> AnyDestination | Outcome:
        known = self._destinations.get(config)
        if known is None:
            if len(self._destinations) >= _MAX_KNOWN:
                self._destinations.clear()
            destination, problems = read_destination(config)
            known = destination or rejected(unusable(problems))
            self._destinations[config] = known
        return known

    def _connection(self, config: bytes) -> Connection | None:
        if not config:
            return None
        known = self._connections.get(config)
        if known is None:
            if len(self._connections) >= _MAX_KNOWN:
                self._connections.clear()
            known = self._connections[config] = read_connection(config)
        return known
