"""Customer.io's limits, in bytes of UTF-8, and its error texts."""

from typing import Any

from msgspec import DecodeError, Raw

from .outcome import Refusal
from .sent_json import decode, encode

MAX_NAME_BYTES = 100
"""Limit of an event's name."""
MAX_ID_BYTES = 150
"""Limit of an id of a person or object."""
MAX_ATTRIBUTE_NAME_BYTES = 150
MAX_VALUE_BYTES = 1000
"""Limit of an attribute's value: a string's characters, an object's or array's compact JSON."""
MAX_ATTRIBUTES = 300
"""Limit of one request, and of one person or object."""
MAX_DATA_BYTES = 100_000
"""Limit of a v1 event's data as compact JSON."""
MAX_ITEM_BYTES = 32_768
"""Limit of a v2 operation as sent, alone or in a batch."""
MAX_BATCH_BYTES = 500_000
"""Limit of the body of a v2 batch."""
MAX_SEGMENT_IDS = 1000

# Structures of the API, not values of a person.
_NO_VALUES = frozenset(["cio_relationships", "cio_subscription_preferences"])


def longer_than(text: str, max_bytes: int) -> bool:
    """Return True if a text has more than `max_bytes` bytes of UTF-8."""
    size = len(text)
    return size * 4 > max_bytes and (size > max_bytes or len(text.encode()) > max_bytes)


def check_attributes(attributes: dict[str, Any], *, v2: bool, field: str = "attributes") -> None:
    """Check attributes against Customer.io's limits.

    Raises:
        Refusal: An attribute is over a limit. Customer.io then refuses the whole call.
    """
    if len(attributes) > MAX_ATTRIBUTES:
        raise Refusal(
            f"cannot identify more than {MAX_ATTRIBUTES} attributes in one request", field
        )
    for name, value in attributes.items():
        if longer_than(name, MAX_ATTRIBUTE_NAME_BYTES):
            raise Refusal(
                f"attribute name cannot be longer than {MAX_ATTRIBUTE_NAME_BYTES} bytes", field
            )
        kind = type(value)
        if kind is str:
            too_long = longer_than(value, MAX_VALUE_BYTES)
        elif kind is dict or kind is list:
            too_long = len(encode(value)) > MAX_VALUE_BYTES and name not in _NO_VALUES
        else:
            continue
        if too_long:
            raise Refusal(
                f"property value cannot be longer than {MAX_VALUE_BYTES} bytes"
                if v2
                else f"value for attribute '{name}' cannot be longer than {MAX_VALUE_BYTES} bytes",
                f"{field}.{name}",
            )


def event_name(value: Any) -> str:
    """Return an event's name as Customer.io keeps it: without spaces around it.

    Raises:
        Refusal: The value is not a name.
    """
    if type(value) is not str:
        if value is None:
            raise Refusal("event name must not be blank", "name", "required")
        raise Refusal("event name must be a string", "name")
    name = value.strip()
    if not name:
        raise Refusal("event name must not be blank", "name", "required")
    if longer_than(name, MAX_NAME_BYTES):
        raise Refusal(f"event name cannot be longer than {MAX_NAME_BYTES} bytes", "name")
    return name


def event_data(raw: Raw, field: str, max_bytes: int | None) -> bytes:
    """Return the JSON text of an event's data, {} if absent.

    Raises:
        Refusal: The data is not an object, or is over the limit.
    """
    if not raw:
        return b"{}"
    data = bytes(raw)
    if data[:1] != b"{":
        raise Refusal("event data must be a hash", field)
    if max_bytes is not None and len(data) > max_bytes and _compact_bytes(data) > max_bytes:
        raise Refusal(f"event data cannot be longer than {max_bytes} bytes", field)
    return data


def _compact_bytes(data: bytes) -> int:
    try:
        return len(encode(decode(data)))
    except (DecodeError, RecursionError):
        return len(data)


def usable_time(value: Any) -> int | None:
    """Return a value in Unix seconds; None for any other value, milliseconds included."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value < 2**32:
        return value
    return None
