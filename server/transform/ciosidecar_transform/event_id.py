"""An id for an event that makes sending it again harmless. Rule 5.6."""

from hashlib import sha256

from .event import Event, FilledEvent
from .identifiers import id_text
from .native import twin
from .times import UnusableTime, unix_millis

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Two characters a step: 1,024 pairs still fit the processor's cache.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def event_id(event: Event, kind: str, name: str, addressed: str, properties: bytes) -> str | None:
    """Return the event's ULID, 26 characters, or None without a usable messageId.

    Args:
        event: The event. What templates took out of it is hashed all the same (rule 13.1).
        kind: The event's type in lower case.
        name: The event's name as it is sent.
        addressed: The id, email or anonymous id that the event is addressed by.
        properties: The event's properties as received, b"" if they are no object.
    """
    message_id = event.message_id
    # The usual one, a UUID, is usable as it is; a placeholder is shorter (rule 2.1).
    if type(message_id) is not str or len(message_id) < 20 or message_id.isspace():
        try:
            message_id = id_text(message_id)
        except ValueError:
            return None
    if not message_id:
        return None
    if type(event) is FilledEvent:
        properties = event.received_identifiers if kind == "record" else event.received_properties
    return hashed_ulid(
        event.original_timestamp,
        event.timestamp,
        message_id,
        kind,
        name,
        addressed,
        properties,
    )


@twin
def hashed_ulid(
    time: object,
    other_time: object,
    message_id: str,
    kind: str,
    name: str,
    addressed: str,
    properties: bytes,
    /,
) -> str:
    """Return the ULID of the first usable of two times, and of the hash of the other arguments.

    26 characters. The time is 0 if neither is usable, or if it is before 1970.
    """
    prefix = f"{message_id}\x1f{kind}\x1f{name}\x1f{addressed}\x1f".encode()
    digest = sha256(prefix + properties)
    return _ulid(_first_millis(time, other_time), digest.digest()[:10])


def _first_millis(*times: object) -> int:
    """Return the first usable time in milliseconds, 0 if there is none from 1970 on."""
    for time in times:
        try:
            millis = unix_millis(time)
        except UnusableTime:
            continue
        if millis is not None:
            return max(millis, 0)
    return 0


def _ulid(millis: int, entropy: bytes) -> str:
    """Return a time of 48 bits and 10 more bytes in Crockford's base 32."""
    # Three integers of two machine digits each: shifting one of 128 bits takes half as long again.
    first = int.from_bytes(entropy[:5], "big")
    second = int.from_bytes(entropy[5:], "big")
    pairs = _PAIRS
    return (
        f"{pairs[millis >> 40 & 1023]}{pairs[millis >> 30 & 1023]}{pairs[millis >> 20 & 1023]}"
        f"{pairs[millis >> 10 & 1023]}{pairs[millis & 1023]}"
        f"{pairs[first >> 30]}{pairs[first >> 20 & 1023]}{pairs[first >> 10 & 1023]}"
        f"{pairs[first & 1023]}"
        f"{pairs[second >> 30]}{pairs[second >> 20 & 1023]}{pairs[second >> 10 & 1023]}"
        f"{pairs[second & 1023]}"
    )
