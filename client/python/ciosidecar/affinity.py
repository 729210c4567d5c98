"""The affinity of persons: which sidecar of a fleet gets the events of a person.

An event has a key, a key has one of 16,384 slots, and a slot has an order of addresses. The four clients
and the tests share the definition: docs/scaling/affinity.md has it, tests/vectors/affinity.json checks it.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Any

from ciosidecar import v1
from ciosidecar.events import Encoded, Event, Outgoing

SLOTS = 16_384
"""The number of slots. Persons of one slot always share their address."""
_ID_MEMBERS = ("userId", "anonymousId")


class Affinity(Enum):
    """The rule by which an event goes to one sidecar of several."""

    PERSON = "person"
    """The event's person: all events of a person go to one sidecar, from all streams."""


def person_key(event: Event, encoded: Encoded, ordering_key: str = "") -> bytes:
    """Return the key of an event.

    That is the ordering key if there is one, or the first of `userId` and `anonymousId` that is a
    non-empty string or a number. An event without any of them, or whose JSON cannot be read, has the
    bytes of its JSON, its message id or the body of its request for a key.

    Args:
        event: The event as the caller sends it.
        encoded: The same event, encoded.
        ordering_key: The ordering key of the caller's.
    """
    if ordering_key:
        return _utf8(ordering_key)
    if isinstance(encoded, v1.RudderEvent):
        return (encoded.user_id or encoded.anonymous_id or encoded.message_id).encode()
    if isinstance(encoded, v1.PreparedRequest):
        return encoded.body
    members = event if isinstance(event, Mapping) else _members(encoded)
    for name in _ID_MEMBERS:
        if text := _id_text(members.get(name)):
            return _utf8(text)
    return encoded


def slot_of(key: bytes) -> int:
    """Return the slot of a key: its CRC-32, modulo the number of slots."""
    return zlib.crc32(key) % SLOTS


def slots_of(events: Sequence[Event], outgoing: Sequence[Outgoing]) -> list[int]:
    """Return the slots of events, each given as the caller sends it and as it is queued."""
    return [
        slot_of(person_key(event, queued.event, (queued.fields or {}).get("ordering_key", "")))
        for event, queued in zip(events, outgoing, strict=True)
    ]


def address_order(slot: int, addresses: Sequence[str]) -> tuple[int, ...]:
    """Return the indexes of the addresses, that of the slot's own address first.

    The order is that of rendezvous hashing: by the SHA-256 of the address, a line feed and the slot in
    decimal digits; the greatest comes first. If an address is missing, its slots go to the next in
    their orders, and no other slot moves.
    """
    digests = [sha256(f"{address}\n{slot}".encode()).digest() for address in addresses]
    return tuple(sorted(range(len(addresses)), key=digests.__getitem__, reverse=True))


class _NumberText(str):
    """A number of a JSON text, as it is written there."""

    __slots__ = ()


def _members(event: bytes) -> Mapping[str, Any]:
    """Return the members of a JSON object; none if the text is no JSON object."""
    try:
        parsed = json.loads(
            event.decode(), parse_int=_NumberText, parse_float=_NumberText, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _refuse(constant: str) -> None:
    """Raise ValueError: NaN and Infinity are no JSON."""
    raise ValueError(constant)


def _id_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    return ""


def _utf8(text: str) -> bytes:
    """Return a text in UTF-8, with U+FFFD for each unpaired surrogate."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
