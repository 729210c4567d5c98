"""Values sent otherwise than they came, where a destination asks for it. Rules 13.6-13.8."""

from msgspec import Raw, Struct
from msgspec.json import encode

from .dates import DateNames, attributes_with_seconds, object_with_seconds
from .json_text import members
from .operations import Attributes

RESERVED_PROPERTIES = ("recipient", "from_address", "reply_to")
PREFIX = "event_"
_EMPTY = Raw(b'""')


class ValueChanges(Struct, frozen=True):
    """What is done to values on their way. A destination that changes nothing has none of these."""

    dates: DateNames | None
    """Where dates become seconds (13.6); None: nowhere."""
    drop_empty: bool
    """Whether attributes that are "" are left out (13.7)."""
    prefix_reserved: bool
    """Whether properties that would redirect a message get another name (13.8)."""

    def __bool__(self) -> bool:
        return self.dates is not None or self.drop_empty or self.prefix_reserved

    def attributes(self, attributes: Attributes) -> Attributes:
        """Of a person, an object or a relationship."""
        if self.drop_empty:
            attributes = {name: raw for name, raw in attributes.items() if raw != _EMPTY}
        if self.dates is not None:
            attributes = attributes_with_seconds(attributes, self.dates)
        return attributes

    def properties(self, data: bytes) -> bytes:
        """Of an event: an object as JSON."""
        if self.dates is not None:
            data = object_with_seconds(data, self.dates)
        return _prefixed(data) if self.prefix_reserved else data


def _prefixed(data: bytes) -> bytes:
    found = members(Raw(data))
    if found.keys().isdisjoint(RESERVED_PROPERTIES):
        return data
    renamed = {}
    for name, raw in found.items():
        fresh = name
        if name in RESERVED_PROPERTIES:
            fresh = PREFIX + name
            while fresh in found:
                fresh = PREFIX + fresh
        renamed[fresh] = raw
    return encode(renamed)
