"""Files of requests as Parquet: the members of a line of JSON as typed columns."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..line_files import Lines

MAX_GROUP_ROWS = 10_000
MAX_GROUP_BYTES = 32 << 20
_PLACE = [
    pa.field("file", pa.string(), nullable=False),
    pa.field("line", pa.int64(), nullable=False),
    pa.field("messageId", pa.string()),
]
_REQUEST = pa.struct(
    [
        pa.field("method", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("endpoint_path", pa.string(), nullable=False),
        pa.field("headers", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("body", pa.string()),
        pa.field("events", pa.list_(pa.struct(_PLACE))),
    ]
)
_WARNING = pa.struct(
    [
        pa.field("code", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)
SCHEMA = pa.schema(
    [
        *_PLACE,
        pa.field("status", pa.int32(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("requests", pa.list_(_REQUEST)),
        pa.field("warnings", pa.list_(_WARNING)),
    ]
)
"""A row for each event. The body of a request is JSON as text, digit for digit as it must be sent."""


class ParquetRows:
    """Rows of a Parquet file that appears whole or not at all. In memory is a row group at most."""

    def __init__(self, path: Path) -> None:
        self._file = Lines(path)
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def write(self, row: dict[str, Any]) -> None:
        """Write a row: the members of a result, as `result_members` returns them."""
        requests = [_request(request) for request in row.get("requests", ())]
        self._rows.append(row | {"requests": requests})
        self._bytes += sum(len(request["body"] or "") for request in requests)
        if len(self._rows) >= MAX_GROUP_ROWS or self._bytes >= MAX_GROUP_BYTES:
            self._end_group()

    def finish(self) -> str | None:
        """Give the file its name and return it; return None without a file if there was no row."""
        if self._rows:
            self._end_group()
        if self._writer is not None:
            self._writer.close()
        return self._file.finish()

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.abandon()

    def _end_group(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                _Sink(self._file), SCHEMA, compression="zstd", write_page_checksum=True
            )
        self._writer.write_table(pa.Table.from_pylist(self._rows, SCHEMA))
        self._rows.clear()
        self._bytes = 0


def _request(request: dict[str, Any]) -> dict[str, Any]:
    body = request["body"]
    return request | {
        "headers": list(request["headers"].items()),
        "body": None if body is None else bytes(body).decode(),
    }


class _Sink:
    """What pyarrow writes to: a file that has its name only once it is finished."""

    closed = False

    def __init__(self, file: Lines) -> None:
        self._file = file
        self._size = 0

    def write(self, data: Any) -> int:
        """Write some bytes."""
        part = bytes(data)
        self._file.write_line(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        """Return the bytes so far."""
        return self._size

    def flush(self) -> None:
        """Do nothing: the end of the file is synced."""

    def close(self) -> None:
        """Do nothing: the file ends with `finish`."""
