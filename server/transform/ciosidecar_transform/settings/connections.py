"""A connection's config: what its warehouse rows are about. Rule 9."""

from typing import cast

from msgspec import DecodeError, Raw, Struct

from ..identifiers import IdentifierKind
from ..json_text import ABSENT, NULL, elements, first_byte, members, repair_surrogates, value
from ..outcomes import ErrorCode

_KINDS = ("id", "email", "cio_id")
_MAX_AUDIENCE_ID = 2**64 - 1


class PersonRows(Struct, frozen=True):
    """A connection each of whose rows is a person."""


class EventRows(Struct, frozen=True):
    """A connection each of whose rows is an event of a person."""


class Audience(Struct, frozen=True):
    """A connection each of whose rows adds a person to a manual segment, or removes one. Rule 9.5."""

    segment_id: int
    kind: IdentifierKind
    """The kind of identifier in the rows."""


class Unusable(Struct, frozen=True):
    """A connection whose config cannot be read. Each of its rows is rejected with this error."""

    code: ErrorCode
    text: str
    """A message for people. Names the key, never quotes its value."""


_OBJECTS: dict[str, PersonRows | EventRows] = {"person": PersonRows(), "event": EventRows()}
Connection = PersonRows | EventRows | Audience | Unusable


def read_connection(config_json: bytes) -> Connection:
    """Return what a connection's config says of its rows. Never raises.

    Unknown keys are ignored.

    Args:
        config_json: A JSON object in UTF-8, as the dashboard keeps it: the settings themselves, the
            settings under `destination`, or the connection with them under `config.destination`.

    Returns:
        Unusable for a config that cannot be read.
    """
    try:
        str(config_json, "utf-8")
        return _read(members(Raw(repair_surrogates(config_json))))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return _unusable("the connection's config must be a JSON object in UTF-8")


def _read(config: dict[str, Raw]) -> Connection:
    for wrapped in ("config", "destination"):
        config = members(config.get(wrapped, ABSENT)) or config
    audience_id = value(config.get("audienceId", ABSENT))
    if audience_id is not None:
        return _audience(audience_id, config.get("identifierMappings", ABSENT))
    row_kind = value(config.get("object", ABSENT))
    rows = _OBJECTS.get(row_kind.lower()) if isinstance(row_kind, str) else None
    return rows or _unusable('the connection\'s config must have an object, "person" or "event"')


def _audience(audience_id: object, mappings: Raw) -> Audience | Unusable:
    """Return the audience of a config. Rule 9.5."""
    segment_id = _positive_integer(audience_id)
    if segment_id is None:
        return _unusable("the connection's audienceId must be a positive integer")
    entries = elements(mappings)
    if not entries:
        if mappings and mappings != NULL and first_byte(mappings) != b"[":
            return _unusable("the connection's identifierMappings must be a list")
        return Audience(segment_id, "id")
    kind = value(members(entries[0]).get("to", ABSENT))
    if kind is None and first_byte(entries[0]) == b"{":
        return Audience(segment_id, "id")
    lowered = kind.lower() if isinstance(kind, str) else None
    if lowered not in _KINDS:
        return _unusable(
            "the first of the connection's identifierMappings must be to id, email or cio_id"
        )
    return Audience(segment_id, cast("IdentifierKind", lowered))


def _positive_integer(json_value: object) -> int | None:
    """Return a positive integer that is a number or a text, or None for any other value."""
    number = 0
    if isinstance(json_value, str):
        # A text may have millions of digits: only as many as the largest id has are parsed.
        is_number = json_value.isascii() and json_value.isdigit()
        if is_number and len(json_value) <= len(str(_MAX_AUDIENCE_ID)):
            number = int(json_value)
    elif isinstance(json_value, int) and not isinstance(json_value, bool):
        number = json_value
    return number if 0 < number <= _MAX_AUDIENCE_ID else None


def _unusable(text: str) -> Unusable:
    return Unusable(ErrorCode.INVALID_RECORD, f"{text} (rule 9)")
