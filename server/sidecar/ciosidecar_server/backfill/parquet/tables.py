"""Parquet files as tables: what is checked before a run, their row groups, and the rows of these."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import EXIT_USAGE, BackfillFailed
from .arrow_json import is_array, is_object, is_text, unsupported_type
from .mapping import OBJECT_FIELDS, SCALAR_FIELDS, BadMapping, ColumnMap, MappedField
from .rows import TableRow, row_of_fields, rows_of_batch, top_columns, type_of

_MAX_BATCH_ROWS = 1024
_BATCH_BYTES = 16 << 20
_BUFFER_BYTES = 1 << 20
_MAGIC = b"PAR1"
_MAX_NAMED = 40


def check_tables(paths: Sequence[str], columns: ColumnMap) -> list[str]:
    """Check that files are Parquet, whole, and have the columns of a mapping.

    Returns:
        Warnings: columns that some of the files lack.

    Raises:
        BackfillFailed: A file cannot be read, no file has a column, or a column has a type that its field cannot have.
    """
    missing: Counter[str] = Counter()
    lacks: dict[str, str] = {}
    names: dict[str, None] = {}
    for path in paths:
        with _opened(path, EXIT_USAGE) as file:
            _check_whole(path, file.metadata)
            schema = file.schema_arrow
        names |= dict.fromkeys(schema.names)
        try:
            lacking = _check_columns(schema, columns)
        except BadMapping as problem:
            raise BackfillFailed(f"{path}: {problem}", EXIT_USAGE) from None
        missing.update(lacking)
        lacks |= dict.fromkeys(lacking, path)
    for column, number in missing.items():
        # Without the column of events, a file has nothing.
        if number == len(paths) or columns.events:
            raise BackfillFailed(
                f"{lacks[column]} has no column {column}; {_named(names)}", EXIT_USAGE
            )
    return [
        f"Parquet files without column {column}: {number} of {len(paths)}, such as {lacks[column]}; it counts as null there"
        for column, number in missing.items()
    ]


def _named(names: dict[str, None]) -> str:
    shown = list(names)[:_MAX_NAMED]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return f"there are {', '.join(shown)}{more}" if shown else "there is none"


def _check_columns(schema: pa.Schema, columns: ColumnMap) -> set[str]:
    """Check that the columns have types that events can hold.

    Returns:
        The mapped columns that the schema lacks.

    Raises:
        BadMapping: A column has a type that its field cannot have. The text names the column and its type.
    """
    if columns.events:
        kind = type_of(schema, columns.events)
        if kind is None:
            return {columns.events}
        if not is_text(kind) and not is_object(kind):
            raise BadMapping(
                f"column {columns.events} is {kind}; an event is text, bytes, a struct or a map"
            )
        _check_supported(columns.events, kind)
        return set()
    missing = set()
    for field in columns.fields:
        if not field.column:
            continue
        kind = type_of(schema, field.column)
        if kind is None:
            missing.add(field.column)
        else:
            _check_field(field, kind)
    return missing


def _check_field(field: MappedField, kind: pa.DataType) -> None:
    _check_supported(field.column, kind)
    if pa.types.is_null(kind):
        return
    top = field.path[0] if len(field.path) == 1 else ""
    if top in OBJECT_FIELDS and not is_text(kind) and not is_object(kind):
        raise BadMapping(
            f"column {field.column} is {kind}; {top} is a struct, a map, or text that is JSON"
        )
    if top in SCALAR_FIELDS and (is_object(kind) or is_array(kind)):
        raise BadMapping(f"column {field.column} is {kind}; {top} is a single value")
    if top not in OBJECT_FIELDS and field.content == "json" and not is_text(kind):
        raise BadMapping(f"column {field.column} is {kind}; JSON is text")


def _check_supported(column: str, kind: pa.DataType) -> None:
    unsupported = unsupported_type(kind)
    if unsupported is not None:
        raise BadMapping(f"column {column} has the type {unsupported}, which JSON has no form for")


def row_group_splits(path: str, split_size: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of row groups of about a size on disk. A row group is never divided."""
    with _opened(path) as file:
        metadata = file.metadata
        start = size = 0
        for group in range(metadata.num_row_groups):
            size += sum(
                metadata.row_group(group).column(column).total_compressed_size
                for column in range(metadata.num_columns)
            )
            if size >= split_size or group == metadata.num_row_groups - 1:
                yield start, group + 1
                start, size = group + 1, 0


def rows_of_groups(path: str, groups: range, columns: ColumnMap) -> Iterator[TableRow]:
    """Yield the rows of row groups. In memory are about 16 MiB of rows, and never a whole row group.

    Raises:
        BackfillFailed: The file is not Parquet, or a part of it is damaged.
        OSError: The file cannot be read.
    """
    with _opened(path) as file:
        names = top_columns(file.schema_arrow.names, columns)
        for group in groups:
            metadata = file.metadata.row_group(group)
            if not names:  # each field is fixed, or its column is not in this file
                for _ in range(metadata.num_rows):
                    yield row_of_fields({}, columns)
                continue
            batches = file.iter_batches(_batch_rows(metadata), row_groups=[group], columns=names)
            while (batch := _next_batch(batches, path, group)) is not None:
                yield from rows_of_batch(batch, columns)


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    row_bytes = max(1, group.total_byte_size // max(1, group.num_rows))
    return int(min(_MAX_BATCH_ROWS, max(1, _BATCH_BYTES // row_bytes)))


def _next_batch(batches: Iterator[pa.RecordBatch], path: str, group: int) -> pa.RecordBatch | None:
    try:
        return next(batches, None)
    except (OSError, pa.ArrowException) as problem:
        raise BackfillFailed(
            f"{path}: row group {group} is damaged ({_first_line(problem)}). Write the file again, and start again with"
            " another --output"
        ) from None


@contextmanager
def _opened(path: str, exit_code: int = 1) -> Iterator[pq.ParquetFile]:
    try:
        # The pages of a column are read one after another, instead of all before the first row.
        file = pq.ParquetFile(
            path, pre_buffer=False, buffer_size=_BUFFER_BYTES, page_checksum_verification=True
        )
    except (OSError, pa.ArrowException) as problem:
        raise BackfillFailed(_why_not_opened(path, problem), exit_code) from None
    with file:
        yield file


def _why_not_opened(path: str, problem: Exception) -> str:
    try:
        with Path(path).open("rb") as opened:
            start = opened.read(len(_MAGIC))
    except OSError as unreadable:
        return f"cannot read {path}: {unreadable.strerror}"
    if not start:
        return f"{path} is empty, which a Parquet file never is"
    if start != _MAGIC:
        return f"{path} is not a Parquet file"
    return f"{path} is no whole Parquet file, as if its writer had not finished: {_first_line(problem)}"


def _check_whole(path: str, metadata: pq.FileMetaData) -> None:
    """Check that the file is as long as its footer says.

    Raises:
        BackfillFailed: A row group ends beyond the end of the file.
    """
    size = Path(path).stat().st_size
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for index in range(metadata.num_columns):
            column = group.column(index)
            start = column.dictionary_page_offset or column.data_page_offset
            if start + column.total_compressed_size > size:
                raise BackfillFailed(
                    f"{path}: row group {number} is cut off: it ends beyond the end of the file",
                    EXIT_USAGE,
                )


def _first_line(problem: Exception) -> str:
    return str(problem).split("\n", 1)[0]
