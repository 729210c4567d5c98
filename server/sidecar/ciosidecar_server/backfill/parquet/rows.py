"""Rows of Parquet files as events."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from ciosidecar_transform.json_text import repair_surrogates
from msgspec import Raw

from .arrow_json import Unusable, is_text, json_values
from .mapping import OBJECT_FIELDS, ColumnMap, MappedField


class TableRow(NamedTuple):
    """The event of a row, and why the row cannot be used; "" if it can."""

    event: bytes
    problem: str


def top_columns(names: Sequence[str], columns: ColumnMap) -> list[str]:
    """Return the names of the columns to read."""
    wanted = [columns.events] if columns.events else [field.column for field in columns.fields]
    found = (_steps(names, column) for column in wanted if column)
    return list(dict.fromkeys(steps[0] for steps in found if steps is not None))


def type_of(schema: pa.Schema, column: str) -> pa.DataType | None:
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


def rows_of_batch(batch: pa.RecordBatch, columns: ColumnMap) -> Iterator[TableRow]:
    """Yield the rows of a batch."""
    if columns.events:
        yield from _rows_of_events(columns.events, batch.column(columns.events))
        return
    values = {
        field.path: _values(batch, field)
        for field in columns.fields
        if field.column and type_of(batch.schema, field.column) is not None
    }
    for index in range(batch.num_rows):
        yield row_of_fields({path: column[index] for path, column in values.items()}, columns)


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
    steps = _steps(batch.schema.names, field.column) or [field.column]
    column = batch.column(steps[0])
    for step in steps[1:]:
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


def row_of_fields(values: dict[tuple[str, ...], Any], columns: ColumnMap) -> TableRow:
    """Return a row by the values of its mapped fields, which are named by their paths."""
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
