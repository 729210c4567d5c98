"""An event, decoded once: what every rule reads is a field, what is passed on stays JSON text."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field
from msgspec.json import Decoder

from .json_text import ABSENT, first_byte, members, removed, repair_surrogates, value
from .outcomes import ErrorCode, EventRejected

# Python 3.11 counts the levels of JSON being read as calls, and stops at 1,000 of both. Rule 1.1 has
# an event be nested so deeply by itself.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 2_000))

# Scalars are typed Any, so that one odd member does not refuse the whole event (1.5). Fields hold
# nothing but what the JSON says: a cache in here could be set from outside.


class Context(Struct, rename="camel", gc=False):
    """The event's `context`, one level deep."""

    traits: Raw = ABSENT
    mapped_to_destination: Any = None
    external_id: Raw = ABSENT
    device: Raw = ABSENT
    os: Raw = ABSENT
    app: Raw = ABSENT
    library: Raw = ABSENT
    page: Raw = ABSENT
    locale: Raw = ABSENT
    consent_management: Raw = ABSENT
    timestamp: Raw = ABSENT


class Event(Struct, rename="camel", gc=False):
    """One RudderStack event. Scalars are Python values, everything else is its JSON text."""

    type: Any = None
    message_id: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    previous_id: Any = None
    group_id: Any = None
    event: Any = None
    name: Any = None
    channel: Any = None
    timestamp: Any = None
    original_timestamp: Any = None
    action: Any = None
    traits: Raw = ABSENT
    properties: Raw = ABSENT
    identifiers: Raw = ABSENT
    user_properties: Raw = field(default=ABSENT, name="user_properties")
    context: Context = field(default_factory=Context)


class FilledEvent(Event, gc=False):
    """An event that lost what templates took out of it (rule 13.1). JSON cannot set its fields."""

    received_properties: bytes = b""
    """The properties before that, b"" if they are no object: the event id hashes these (5.6)."""
    received_identifiers: bytes = b""
    """The same of a row's identifiers."""


_Fields = TypeVar("_Fields", bound=Struct)

_decode_event = Decoder(Event).decode
_decode_members = Decoder(dict[str, Raw]).decode


def without(event_json: bytes, paths: Iterable[tuple[str, ...]]) -> FilledEvent:
    """Return the event without what stands at the paths. Rule 13.1.

    A member is removed, an element of an array becomes null. event_json: as `decode` takes it.
    """
    received, repaired = decode(event_json)
    raw = Raw(repair_surrogates(event_json) if repaired else event_json)
    for path in paths:
        raw = removed(raw, path)
    left, _ = decode(bytes(raw))
    filled = FilledEvent(
        received_properties=_object_bytes(received.properties),
        received_identifiers=_object_bytes(received.identifiers),
    )
    for name in Event.__struct_fields__:
        setattr(filled, name, getattr(left, name))
    return filled


def _object_bytes(raw: Raw) -> bytes:
    return bytes(raw) if first_byte(raw) == b"{" else b""


def decode(data: bytes) -> tuple[Event, bool]:
    """The event, and whether lone surrogates had to be repaired. SPEC 1.1.

    Raises EventRejected(INVALID_JSON).
    """
    # msgspec does not look inside the strings it skips: check the whole once.
    if not data.isascii():
        try:
            str(data, "utf-8")
        except UnicodeDecodeError:
            raise EventRejected(ErrorCode.INVALID_JSON, "the event is not UTF-8 (1.1)") from None
    try:
        return _decode_event(data), False
    except (msgspec.DecodeError, RecursionError):
        return _decode_otherwise(data)


def _decode_otherwise(data: bytes) -> tuple[Event, bool]:
    """For what the usual way refuses: an odd member, half an emoji, or what is no event at all."""
    try:
        return _decode_loosely(data), False
    except RecursionError:
        raise not_json() from None
    except msgspec.DecodeError:
        repaired = repair_surrogates(data) if b"\\u" in data else data
        if repaired == data:
            raise not_json() from None
    try:
        return _decode_loosely(repaired), True
    except (msgspec.DecodeError, RecursionError):
        raise not_json() from None


def not_json() -> EventRejected:
    """The refusal of what is no JSON, or is nested so deeply that it cannot be read. SPEC 1.1."""
    return EventRejected(
        ErrorCode.INVALID_JSON, "the event is not JSON, or nested too deeply (1.1)"
    )


def _decode_loosely(data: bytes) -> Event:
    """Member by member: an odd one, or a number no double can hold, is then only its own matter."""
    try:
        found = _decode_members(data)
    except msgspec.ValidationError:
        raise EventRejected(
            ErrorCode.INVALID_JSON, "the event is not a JSON object (1.1)"
        ) from None
    event = _fill(Event(), found, skip="context")
    event.context = _fill(Context(), members(found.get("context", ABSENT)))
    return event


def _fill(into: _Fields, found: dict[str, Raw], skip: str = "") -> _Fields:
    """Sets each field from its member: JSON text as it is, a scalar as its value."""
    for name, key in zip(into.__struct_fields__, into.__struct_encode_fields__, strict=True):
        raw = found.get(key)
        if raw and name != skip:
            setattr(into, name, raw if type(getattr(into, name)) is Raw else value(raw))
    return into
