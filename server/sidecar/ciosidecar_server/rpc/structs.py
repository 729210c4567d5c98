"""A Struct of protobuf → plain values of JSON, as long as their JSON fits into an event."""

from typing import Any

from ciosidecar_transform.outcomes import ErrorCode, EventRejected
from google.protobuf.struct_pb2 import ListValue, Struct, Value

_MEMBER_BYTES = 5
"""The least JSON of a member of an object, beside its name: quotes, colon, a digit and a comma."""
_ELEMENT_BYTES = 2
"""The least JSON of an element of an array: a digit and a comma."""


def too_large(max_event_bytes: int) -> EventRejected:
    """Return the rejection of an event of more bytes than the limit."""
    return EventRejected(ErrorCode.TOO_LARGE, f"the event has more than {max_event_bytes} bytes")


class StructReader:
    """Reads the Structs of one event. It stops once their JSON must be larger than an event may be.

    To read a Struct takes 10 µs a member. A message has room for a million of them, an event for a tenth of that.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._bytes_left = max_event_bytes

    def read(self, struct: Struct) -> dict[str, Any]:
        """Return the members of a Struct.

        Raises:
            EventRejected: the JSON of what was read so far is larger than an event may be.
        """
        members = struct.fields
        # The last member has no comma behind it.
        self._take(_MEMBER_BYTES * len(members) - 1)
        self._take(sum(map(len, members)))
        # Sorted: the order of a protobuf map differs between processes, and event ids hash it (rule 5.6).
        return {name: self._plain(members[name]) for name in sorted(members)}

    def _take(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise too_large(self._max_event_bytes)

    def _plain(self, value: Value) -> Any:
        kind = value.WhichOneof("kind")
        if kind == "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 2**63 else number
        if kind == "struct_value":
            return self.read(value.struct_value)
        if kind == "list_value":
            return self._list(value.list_value)
        return None if kind in (None, "null_value") else getattr(value, kind)

    def _list(self, values: ListValue) -> list[Any]:
        self._take(_ELEMENT_BYTES * len(values.values) - 1)
        return [self._plain(value) for value in values.values]
