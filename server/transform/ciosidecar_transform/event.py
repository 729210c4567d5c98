"""An event, decoded once: rules read its fields, and values that are passed on stay JSON text."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field
from msgspec.json import Decoder

from .json_text import ABSENT, first_byte, members, removed, repair_surrogates, value
from .native import twin
from .outcomes import ErrorCode, EventRejected

# Python 3.11 counts each level of JSON that is being read as a call, and stops at 1,000 calls. Rule
# 1.1 allows an event alone to have so many levels.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 2_000))

# Scalars are typed Any, so that an odd member does not reject the whole event (rule 1.5). Each field
# holds a member of the JSON and nothing else: a sender could set a field that is a cache.


class Context(Struct, rename="camel", gc=False):
    """An event's `context`, one level deep."""

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
    """A RudderStack event. Scalars are Python values; objects and arrays are JSON text."""

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
    """An event without the values that templates took out of it (rule 13.1). JSON cannot set its fields."""

    received_properties: bytes = b""
    """The properties as received, b"" if they are no object: the event id hashes these (rule 5.6)."""
    received_identifiers: bytes = b""
    """A row's identifiers as received, b"" if they are no object."""


_Fields = TypeVar("_Fields", bound=Struct)

_decode_event = Decoder(Event).decode
_decode_members = Decoder(dict[str, Raw]).decode


def without(event_json: bytes, paths: Iterable[tuple[str, ...]]) -> FilledEvent:
    """Return the event without the values at the paths. Rule 13.1.

    A member of an object is removed; an element of an array becomes null.

    Args:
        event_json: An event that `decode` accepts.
        paths: The steps to each value.
    """
    received, repaired = decode(event_json)
    raw = Raw(repair_surrogates(event_json) if repaired else event_json)
    for path in paths:
        raw = removed(raw, path)
    remaining, _ = decode(bytes(raw))
    filled = FilledEvent(
        received_properties=_object_bytes(received.properties),
        received_identifiers=_object_bytes(received.identifiers),
    )
    for name in Event.__struct_fields__:
        setattr(filled, name, getattr(remaining, name))
    return filled


def _object_bytes(raw: Raw) -> bytes:
    return bytes(raw) if first_byte(raw) == b"{" else b""


def decode(data: bytes) -> tuple[Event, bool]:
    """Return the event, and whether unpaired surrogates had to be repaired. Rule 1.1.

    Raises:
        EventRejected: INVALID_JSON.
    """
    # msgspec does not check the strings that it skips, so the whole event is checked first.
    if not data.isascii() and not is_utf8(data):
        raise EventRejected(ErrorCode.INVALID_JSON, "the event is not UTF-8 (rule 1.1)")
    try:
        return _decode_event(data), False
    except (msgspec.DecodeError, RecursionError):
        return _decode_odd_event(data)


@twin
def is_utf8(data: bytes, /) -> bool:
    """Return whether bytes are UTF-8."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode_odd_event(data: bytes) -> tuple[Event, bool]:
    """Decode data that the usual decoder rejects: an odd member, a surrogate, or no event at all."""
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
    """Return the error for data that is no JSON, or nested too deeply to be read. Rule 1.1."""
    return EventRejected(
        ErrorCode.INVALID_JSON, "the event is not JSON, or nested too deeply (rule 1.1)"
    )


def _decode_loosely(data: bytes) -> Event:
    """Decode member by member, so that an odd member or a vast number affects only itself."""
    try:
        fields = _decode_members(data)
    except msgspec.ValidationError:
        raise EventRejected(
            ErrorCode.INVALID_JSON, "the event is not a JSON object (rule 1.1)"
        ) from None
    event = _fill(Event(), fields, skip="context")
    event.context = _fill(Context(), members(fields.get("context", ABSENT)))
    return event


def _fill(target: _Fields, fields: dict[str, Raw], skip: str = "") -> _Fields:
    """Set each field of the target from its member: JSON text as it is, a scalar as its value."""
    for name, key in zip(target.__struct_fields__, target.__struct_encode_fields__, strict=True):
        raw = fields.get(key)
        if raw and name != skip:
            setattr(target, name, raw if type(getattr(target, name)) is Raw else value(raw))
    return target
