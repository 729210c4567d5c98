"""Rows of Parquet files as events."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ciosidecar_transform.json_text import repair_surrogates
from msgspec import Raw

from .arrow_json import Unusable, is_array, is_object, is_text, json_values, unsupported_type
from .mapping import OBJECT_FIELDS, SCALAR_FIELDS, BadMapping, ColumnMap, MappedField

MAX_BATCH_ROWS = 1024
BATCH_BYTES = 16 << 20
_BUFFER_BYTES = 1 << 20


class TableRow(NamedTuple):
    """The event of a row, and why the row cannot be used; "" if it can."""

    event: bytes
    problem: str


def check_columns(schema: pa.Schema, columns: ColumnMap) -> set[str]:
    """Check that the columns have types that events can hold.

    Returns:
        The mapped columns that the schema lacks.

    Raises:
        BadMapping: A column has a type that its field cannot have. The text names the column and its type.
    """
    if columns.events:
        kind = _type_of(schema, columns.events)
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
        kind = _type_of(schema, field.column)
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


def _type_of(schema: pa.Schema, column: str) -> pa.DataType | None:
    """Return the type of a column, or of a value within one, as "ctx.ip"."""
    steps = _steps(schema.names, column)
    if steps is None:
        return None
    kind = schema.field(steps[0]).type
    for step in steps[1:]:
        if not pa.types.is_struct(kind) or kind.get_field_index(step) < 0:
            return None
        kind = kind.field(step).type
    return kind


def _steps(names: Sequence[str], column: str) -> list[str] | None:
    """Return the name of the column and the steps within it. A name with a dot goes before a path."""
    if column in names:
        return [column]
    first, dot, rest = column.partition(".")
    return [first, *rest.split(".")] if dot and first in names else None


def table_rows(path: str, groups: range, columns: ColumnMap) -> Iterator[TableRow]:
    """Yield the rows of row groups. In memory are about 16 MiB of rows, and never a whole row group.

    Raises:
        OSError: The file cannot be read.
        pa.ArrowException: The file is not Parquet, or a part of it is damaged.
    """
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
        names = _top_columns(file.schema_arrow.names, columns)
        for group in groups:
            metadata = file.metadata.row_group(group)
            rows = _batch_rows(metadata)
            if not names:  # each field is fixed, or its column is not in this file
                for _ in range(metadata.num_rows):
                    yield _row_of_fields({}, columns)
                continue
            for batch in file.iter_batches(rows, row_groups=[group], columns=names):
                yield from _rows(batch, columns)


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    row_bytes = max(1, group.total_byte_size // max(1, group.num_rows))
    return int(min(MAX_BATCH_ROWS, max(1, BATCH_BYTES // row_bytes)))


def _top_columns(names: Sequence[str], columns: ColumnMap) -> list[str]:
    """Return the names of the columns to read."""
    wanted = [columns.events] if columns.events else [field.column for field in columns.fields]
    found = (_steps(names, column) for column in wanted if column)
    return list(dict.fromkeys(steps[0] for steps in found if steps is not None))


def _rows(batch: pa.RecordBatch, columns: ColumnMap) -> Iterator[TableRow]:
    if columns.events:
        yield from _rows_of_events(columns.events, batch.column(columns.events))
        return
    values = {
        field.path: _values(batch, field)
        for field in columns.fields
        if field.column and _type_of(batch.schema, field.column) is not None
    }
    for index in range(batch.num_rows):
        yield _row_of_fields({path: column[index] for path, column in values.items()}, columns)


def _rows_of_events(name: str, column: pa.Array) -> Iterator[TableRow]:
    if not is_text(column.type):
        for value in json_values(column):
            yield _row_of_event(name, value)
        return
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    for text in column.cast(pa.large_binary()).to_pylist():
        if text is None:
            yield TableRow(b"", f"column {name} is null")
        else:
            # JSON has line breaks between its tokens only, and events are lines elsewhere.
            yield TableRow(text.replace(b"\n", b" "), "")


def _row_of_event(column: str, value: object) -> TableRow:
    if value is None:
        return TableRow(b"", f"column {column} is null")
    try:
        return TableRow(_encode(value), "")
    except TypeError:  # an Unusable
        return _problem_row(value, [(column, value)])


def _values(batch: pa.RecordBatch, field: MappedField) -> list[Any]:
    first, *rest = _steps(batch.schema.names, field.column) or ()
    column = batch.column(first)
    for step in rest:
        column = pc.struct_field(column, step)
    values = json_values(column)
    if field.content == "json" and is_text(column.type):
        is_object = field.path[0] in OBJECT_FIELDS and len(field.path) == 1
        return [_json_text(value, must_be_object=is_object) for value in values]
    return values


def _json_text(value: object, *, must_be_object: bool) -> Raw | Unusable | None:
    if not isinstance(value, str):
        return value if isinstance(value, Unusable) else None
    if not value or value.isspace() or value.strip() == "null":
        return None
    text = value.replace("\n", " ").encode()
    try:
        _check_json(text)
    except (msgspec.DecodeError, RecursionError):
        if not _is_json_with_surrogates(text):
            return Unusable(value, "is not JSON")
    if must_be_object and not text.lstrip().startswith(b"{"):
        return Unusable(value, "is not a JSON object")
    return Raw(text)


def _is_json_with_surrogates(text: bytes) -> bool:
    """Return True for JSON with unpaired surrogates, which the transform repairs (rule 1.1)."""
    try:
        _check_json(repair_surrogates(text))
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


_check_json = msgspec.json.Decoder(Raw).decode


def _row_of_fields(values: dict[tuple[str, ...], Any], columns: ColumnMap) -> TableRow:
    event: dict[str, Any] = {}
    for field in columns.fields:
        value = Raw(field.fixed) if field.fixed else values.get(field.path)
        if value is None:
            continue
        parent = event
        for step in field.path[:-1]:
            parent = parent.setdefault(step, {})
        parent[field.path[-1]] = value
    try:
        return TableRow(_encode(event), "")
    except TypeError:  # an Unusable
        parts = ((field.column, values.get(field.path)) for field in columns.fields)
        return _problem_row(event, parts)


def _problem_row(event: object, parts: Iterable[tuple[str, Any]]) -> TableRow:
    """Return a row that cannot be used. Its unusable values are text, so that the event can be mended."""
    unusable: list[Unusable] = []

    def keep(value: Any) -> str:
        unusable.append(value)
        return str(value.text)

    encoder = msgspec.json.Encoder(enc_hook=keep)
    problem = ""
    for column, value in parts:
        unusable.clear()
        encoder.encode(value)
        if unusable:
            text = unusable[0].text
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            problem = f"column {column}: {shown!r} {unusable[0].reason}"
            break
    return TableRow(encoder.encode(event), problem)


_encode = msgspec.json.Encoder().encode
