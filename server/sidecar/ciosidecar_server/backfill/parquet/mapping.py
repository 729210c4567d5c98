"""Columns of tables, mapped to the fields of an event."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ciosidecar_transform.json_text import NOT_JSON
from msgspec import DecodeError
from msgspec.json import decode, encode

OBJECT_FIELDS = (
    "context",
    "fields",
    "identifiers",
    "integrations",
    "properties",
    "traits",
    "user_properties",
)
"""The fields of an event that are objects: text for them is read as JSON."""
SCALAR_FIELDS = (
    "action",
    "anonymousId",
    "category",
    "channel",
    "event",
    "groupId",
    "messageId",
    "name",
    "originalTimestamp",
    "previousId",
    "receivedAt",
    "rudderId",
    "sentAt",
    "timestamp",
    "type",
    "userId",
)
_JSON_SUFFIX = ":json"
_STEPS = re.compile(r"(?:[^.\\]|\\.)+", re.DOTALL)


class BadMapping(ValueError):
    """A mapping that makes no event. The text says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedField:
    """A field of the event, and where its value comes from."""

    path: tuple[str, ...]
    """The names of the members that lead to the field: ("properties", "total")."""
    column: str = ""
    """The name of a column, or the path of a value in it: "ctx.ip". "" for a fixed value."""
    fixed: bytes = b""
    """The fixed value as JSON."""
    content: Literal["value", "json"] = "value"
    """"json" if the column has text that is JSON."""

    @property
    def name(self) -> str:
        """Return the path as the caller writes it."""
        return ".".join(re.sub(r"([.\\])", r"\\\1", step) for step in self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """How a row of a table becomes an event: a column of events, or columns for its fields."""

    events: str = ""
    """The column of events; "" if there are fields."""
    fields: tuple[MappedField, ...] = ()


def column_map(
    events_column: str, assignments: Sequence[str] = (), mapping_file: bytes | None = None
) -> ColumnMap | None:
    """Return the mapping that options ask for, or None if there are none.

    Args:
        events_column: The name of the column of events; "" for none.
        assignments: `FIELD=COLUMN`, `FIELD=COLUMN:json` or `FIELD="fixed text"`.
        mapping_file: JSON: {"FIELD": "COLUMN", "FIELD": {"column": "COLUMN", "json": true},
            "FIELD": {"value": …}}.

    Raises:
        BadMapping: The options contradict each other, or one of them is not understood.
    """
    fields = [] if mapping_file is None else _of_file(mapping_file)
    fields += [_of_assignment(assignment) for assignment in assignments]
    if events_column and fields:
        raise BadMapping("a column of events leaves no field to map: use one or the other")
    if events_column:
        return ColumnMap(events=events_column)
    if not fields:
        return None
    _check(fields)
    return ColumnMap(fields=tuple(fields))


def _of_assignment(assignment: str) -> MappedField:
    name, equals, source = assignment.partition("=")
    if not name or not equals or not source:
        raise BadMapping(f"{assignment!r} is not FIELD=COLUMN, as in userId=user_id")
    if source.startswith('"'):
        try:
            return MappedField(path=_path(name), fixed=encode(decode(source, type=str)))
        except DecodeError:
            raise BadMapping(f"{source} is not a text in double quotes") from None
    if source.endswith(_JSON_SUFFIX):
        return MappedField(
            path=_path(name), column=source.removesuffix(_JSON_SUFFIX), content="json"
        )
    return _of_column(_path(name), source)


def _of_column(path: tuple[str, ...], column: str) -> MappedField:
    is_object = len(path) == 1 and path[0] in OBJECT_FIELDS
    return MappedField(path=path, column=column, content="json" if is_object else "value")


def _of_file(mapping_file: bytes) -> list[MappedField]:
    try:
        members = decode(mapping_file, type=dict[str, Any])
    except NOT_JSON:
        raise BadMapping("the file of the mapping is not a JSON object of fields") from None
    return [_of_member(name, source) for name, source in members.items()]


def _of_member(name: str, source: object) -> MappedField:
    path = _path(name)
    if isinstance(source, str) and source:
        return _of_column(path, source)
    if isinstance(source, dict) and source.keys() == {"value"}:
        return MappedField(path=path, fixed=encode(source["value"]))
    if isinstance(source, dict) and source.keys() == {"column", "json"} and source["json"] is True:
        column = source["column"]
        if isinstance(column, str) and column:
            return MappedField(path=path, column=column, content="json")
    raise BadMapping(
        f'{name} is neither "COLUMN" nor {{"column": "COLUMN", "json": true}} nor {{"value": …}}'
    )


def _path(name: str) -> tuple[str, ...]:
    path = tuple(re.sub(r"\\(.)", r"\1", step) for step in _STEPS.findall(name))
    if not path or ".".join(_STEPS.findall(name)) != name:
        raise BadMapping(f"{name!r} is not a field, as in properties.total")
    if path[0] not in OBJECT_FIELDS and path[0] not in SCALAR_FIELDS:
        known = ", ".join(sorted((*OBJECT_FIELDS, *SCALAR_FIELDS), key=str.lower))
        raise BadMapping(f"an event has no field {path[0]}; its fields are {known}")
    if len(path) > 1 and path[0] in SCALAR_FIELDS:
        raise BadMapping(f"{path[0]} has no members, so it cannot have {name}")
    return path


def _check(fields: Iterable[MappedField]) -> None:
    by_path: dict[tuple[str, ...], MappedField] = {}
    for field in fields:
        if field.path in by_path:
            raise BadMapping(f"{field.name} is mapped twice")
        by_path[field.path] = field
    for path, field in by_path.items():
        for length in range(1, len(path)):
            outer = by_path.get(path[:length])
            if outer is not None:
                raise BadMapping(
                    f"{field.name} is a part of {outer.name}, which is mapped as a whole"
                )
