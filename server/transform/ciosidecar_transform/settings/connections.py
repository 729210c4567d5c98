"""What warehouse rows of one connection become, as the user configured it, checked once. SPEC 9."""

from typing import cast

from msgspec import DecodeError, Raw, Struct

from ..identifiers import IdentifierKind
from ..json_text import ABSENT, NULL, elements, first_byte, members, repair_surrogates, value
from ..outcomes import ErrorCode

_KINDS = ("id", "email", "cio_id")
_MAX_AUDIENCE_ID = 2**64 - 1


class PersonRows(Struct, frozen=True):
    """Each row is a person."""


class EventRows(Struct, frozen=True):
    """Each row is an event of a person."""


class Audience(Struct, frozen=True):
    """Each row is somebody who is in a manual segment, or no longer is. SPEC 9.5."""

    segment_id: int
    kind: IdentifierKind
    """What identifies them."""


class Unusable(Struct, frozen=True):
    """Nobody knows what rows of it are; why is what each of them is refused with."""

    code: ErrorCode
    text: str
    """For people. Names the key, never quotes its value."""


_OBJECTS: dict[str, PersonRows | EventRows] = {"person": PersonRows(), "event": EventRows()}
Connection = PersonRows | EventRows | Audience | Unusable


def read_connection(config_json: bytes) -> Connection:
    """What a connection's config says its rows are.

    config_json: a JSON object in UTF-8, as the dashboard keeps it: the settings themselves, or
    these under `destination`, or the whole connection with these under `config.destination`.
    Unknown keys are ignored. Never raises: what cannot be read is Unusable.
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
    found = value(config.get("object", ABSENT))
    rows = _OBJECTS.get(found.lower()) if isinstance(found, str) else None
    return rows or _unusable('the connection\'s config must have an object, "person" or "event"')


def _audience(audience_id: object, mappings: Raw) -> Audience | Unusable:
    """9.5"""
    segment_id = _whole(audience_id)
    if segment_id is None:
        return _unusable("the connection's audienceId must be a positive integer")
    listed = elements(mappings)
    if not listed:
        if mappings and mappings != NULL and first_byte(mappings) != b"[":
            return _unusable("the connection's identifierMappings must be a list")
        return Audience(segment_id, "id")
    kind = value(members(listed[0]).get("to", ABSENT))
    if kind is None and first_byte(listed[0]) == b"{":
        return Audience(segment_id, "id")
    lowered = kind.lower() if isinstance(kind, str) else None
    if lowered not in _KINDS:
        return _unusable(
            "the first of the connection's identifierMappings must be to id, email or cio_id"
        )
    return Audience(segment_id, cast("IdentifierKind", lowered))


def _whole(found: object) -> int | None:
    """A positive integer, as number or as text, or None."""
    number = 0
    if isinstance(found, str):
        # As long as the largest that is taken: nobody else's digits are worth reading.
        if found.isascii() and found.isdigit() and len(found) <= len(str(_MAX_AUDIENCE_ID)):
            number = int(found)
    elif isinstance(found, int) and not isinstance(found, bool):
        number = found
    return number if 0 < number <= _MAX_AUDIENCE_ID else None


def _unusable(text: str) -> Unusable:
    return Unusable(ErrorCode.INVALID_RECORD, f"{text} (9)")
