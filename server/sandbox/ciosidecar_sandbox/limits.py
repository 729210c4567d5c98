"""Customer.io's limits, all in bytes of UTF-8, and the texts it refuses with."""

from typing import Any

from msgspec import DecodeError, Raw
from msgspec.json import decode, encode

from .outcome import Refusal

MAX_NAME_BYTES = 100
"""Of an event's name."""
MAX_ID_BYTES = 150
"""Of an id of a person or object."""
MAX_ATTRIBUTE_NAME_BYTES = 150
MAX_VALUE_BYTES = 1000
"""Of an attribute's value: of a text its characters, of an object or array its compact JSON."""
MAX_ATTRIBUTES = 300
"""Of one request, and of one person or object."""
MAX_DATA_BYTES = 100_000
"""Of a v1 event's data as compact JSON."""
MAX_ITEM_BYTES = 32_768
"""Of a v2 operation as sent, alone or in a batch."""
MAX_BATCH_BYTES = 500_000
"""Of the body of a v2 batch."""
MAX_SEGMENT_IDS = 1000

# Structures of the API, not values of a person.
_NO_VALUES = frozenset(["cio_relationships", "cio_subscription_preferences"])


def longer_than(text: str, max_bytes: int) -> bool:
    """Whether a text has more bytes of UTF-8 than that."""
    size = len(text)
    return size * 4 > max_bytes and (size > max_bytes or len(text.encode()) > max_bytes)


def check_attributes(attributes: dict[str, Any], *, v2: bool, field: str = "attributes") -> None:
    """Raises Refusal for the first attribute Customer.io does not take: the whole call is lost."""
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


def event_name(found: Any) -> str:
    """The name as Customer.io keeps it: without spaces around it. Raises Refusal."""
    if type(found) is not str:
        if found is None:
            raise Refusal("event name must not be blank", "name", "required")
        raise Refusal("event name must be a string", "name")
    name = found.strip()
    if not name:
        raise Refusal("event name must not be blank", "name", "required")
    if longer_than(name, MAX_NAME_BYTES):
        raise Refusal(f"event name cannot be longer than {MAX_NAME_BYTES} bytes", "name")
    return name


def event_data(raw: Raw, field: str, max_bytes: int | None) -> bytes:
    """The JSON text of an event's data, {} if absent. Raises Refusal."""
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


def usable_time(found: Any) -> int | None:
    """Unix seconds, or None for anything else, milliseconds included."""
    if type(found) is float and found.is_integer():
        found = int(found)
    if type(found) is int and 0 <= found < 2**32:
        return found
    return None
