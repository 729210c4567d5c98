"""Changes to values that a destination asks for. Rules 13.6-13.8."""

from msgspec import Raw, Struct
from msgspec.json import encode

from .dates import DateNames, attributes_with_seconds, object_with_seconds
from .json_text import members
from .operations import Attributes

RESERVED_PROPERTIES = ("recipient", "from_address", "reply_to")
PREFIX = "event_"
_EMPTY = Raw(b'""')


class ValueChanges(Struct, frozen=True):
    """The changes of a destination. A destination that changes nothing has none of these."""

    dates: DateNames | None
    """The names under which dates become seconds (rule 13.6). None: dates stay as they are."""
    drop_empty: bool
    """Whether attributes that are "" are left out (rule 13.7)."""
    prefix_reserved: bool
    """Whether properties that would redirect a message get another name (rule 13.8)."""

    def __bool__(self) -> bool:
        return self.dates is not None or self.drop_empty or self.prefix_reserved

    def attributes(self, attributes: Attributes) -> Attributes:
        """Return the changed attributes of a person, an object or a relationship."""
        if self.drop_empty:
            attributes = {name: raw for name, raw in attributes.items() if raw != _EMPTY}
        if self.dates is not None:
            attributes = attributes_with_seconds(attributes, self.dates)
        return attributes

    def properties(self, data: bytes) -> bytes:
        """Return the changed properties of an event: a JSON object."""
        if self.dates is not None:
            data = object_with_seconds(data, self.dates)
        return _prefixed(data) if self.prefix_reserved else data


def _prefixed(data: bytes) -> bytes:
    properties = members(Raw(data))
    if properties.keys().isdisjoint(RESERVED_PROPERTIES):
        return data
    renamed = {}
    for name, raw in properties.items():
        new_name = name
        if name in RESERVED_PROPERTIES:
            new_name = PREFIX + name
            while new_name in properties:
                new_name = PREFIX + new_name
        renamed[new_name] = raw
    return encode(renamed)
