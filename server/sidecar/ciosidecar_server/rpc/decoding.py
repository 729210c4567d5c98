"""An item of a batch → the JSON of its event, its destination and its connection."""

from typing import Any

import msgspec
from ciosidecar.v1 import event_pb2 as pb
from ciosidecar_transform import AnyDestination, Outcome
from ciosidecar_transform.json_text import repair_surrogates
from ciosidecar_transform.outcomes import ErrorCode, EventRejected, rejected
from ciosidecar_transform.settings.connections import Connection
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import DecodeError, Raw
from msgspec.json import encode, format

from .destinations import KnownDestinations

_TEXTS = {
    "type": "type",
    "message_id": "messageId",
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "previous_id": "previousId",
    "group_id": "groupId",
    "event": "event",
    "name": "name",
    "channel": "channel",
    "action": "action",
}
_TIMES = {"timestamp": "timestamp", "original_timestamp": "originalTimestamp"}
_OBJECTS = {
    "traits": "traits",
    "properties": "properties",
    "context": "context",
    "user_properties": "user_properties",
    "identifiers": "identifiers",
}


class _Item(msgspec.Struct, gc=False):
    position: int
    """The position of the item in its batch."""
    fields: pb.BatchItem
    """The item as the caller sent it."""

    @property
    def tag(self) -> bytes:
        """The caller's tag."""
        return self.fields.tag


class DecodedEvent(_Item, gc=False):
    """An event, and what it needs to be transformed."""

    event: bytes
    """The event's JSON."""
    destination: AnyDestination
    connection: Connection | None


class RejectedItem(_Item, gc=False):
    """An item that cannot be transformed."""

    outcome: Outcome


class PreparedItem(_Item, gc=False):
    """A prepared request."""


Decoded = DecodedEvent | RejectedItem | PreparedItem


class BatchDecoder:
    """Decodes the items of one batch."""

    def __init__(self, batch: pb.Batch, known: KnownDestinations, max_event_bytes: int) -> None:
        self._known = known
        self._connection_of = known.connections.get
        self._max_event_bytes = max_event_bytes
        self._default_destination = batch.destination
        self._default_connection = batch.connection
        # The destination of the last item: the next one mostly has the same.
        self._reference_id = batch.destination
        self._destination = known.get(batch.destination)

    def decode(self, position: int, item: pb.BatchItem, json: bytes) -> Decoded:
        """Return what an item is. json: the item's own, which protobuf copies whenever it is read."""
        if not json and item.WhichOneof("payload") == "prepared":
            return _decode_prepared(position, item)
        reference_id = item.destination or self._default_destination
        if reference_id != self._reference_id:
            self._reference_id, self._destination = reference_id, self._known.get(reference_id)
        destination = self._destination
        if isinstance(destination, Outcome):
            return RejectedItem(position, item, destination)
        try:
            event = _event_json(item, json, self._max_event_bytes)
        except EventRejected as rejection:
            return RejectedItem(position, item, rejected(rejection))
        connection = self._connection_of(item.connection or self._default_connection)
        return DecodedEvent(position, item, event, destination, connection)


def _decode_prepared(position: int, item: pb.BatchItem) -> PreparedItem | RejectedItem:
    if item.attempt < 0:
        return RejectedItem(position, item, rejected(_negative_attempt()))
    return PreparedItem(position, item)


def _negative_attempt() -> EventRejected:
    return EventRejected(ErrorCode.INVALID_ITEM, "attempt must not be negative (12.1)")


def _event_json(item: pb.BatchItem, json: bytes, max_bytes: int) -> bytes:
    """Return the event of an item.

    Raises:
        EventRejected: there is no event, or the event is too large.
    """
    if item.attempt < 0:
        raise _negative_attempt()
    event = json or _other_event_json(item)
    if len(event) > max_bytes:
        raise EventRejected(ErrorCode.TOO_LARGE, f"the event has more than {max_bytes} bytes")
    return event


def _other_event_json(item: pb.BatchItem) -> bytes:
    payload = item.WhichOneof("payload")
    if payload == "json":
        return item.json
    if payload == "event":
        return _typed_event_json(item.event)
    raise EventRejected(
        ErrorCode.INVALID_ITEM, "the item has neither an event nor a request (12.1)"
    )


def _typed_event_json(typed: pb.RudderEvent) -> bytes:
    event: dict[str, Any] = {}
    for field, key in _TEXTS.items():
        text = getattr(typed, field)
        if text:
            event[key] = text
    for field, key in _TIMES.items():
        if typed.HasField(field):  # type: ignore[arg-type]  # the names are literals above
            event[key] = _time_text(getattr(typed, field))
    for field, key in _OBJECTS.items():
        if typed.HasField(field):  # type: ignore[arg-type]
            found = _object(getattr(typed, field), field)
            if found is not None:
                event[key] = found
    return encode(event)


def _object(found: pb.JsonObject, field: str) -> Raw | dict[str, Any] | None:
    form = found.WhichOneof("form")
    if form is None or (form == "json" and not found.json):
        return None
    if form == "fields":
        return _struct(found.fields)
    try:
        # Compact, and one value: nothing breaks out of its place in the event.
        return Raw(format(found.json, indent=-1))
    except (DecodeError, RecursionError):
        pass
    try:
        # Lone surrogates are repaired, with the warning, where the whole event is read.
        format(repair_surrogates(found.json), indent=-1)
    except (DecodeError, RecursionError):
        raise EventRejected(ErrorCode.INVALID_JSON, f"{field} is not JSON (1.1)") from None
    return Raw(found.json)


def _struct(fields: Struct) -> dict[str, Any]:
    # Sorted: the order of a protobuf map differs between processes, and event ids hash it (5.6).
    return {name: _plain(value) for name, value in sorted(fields.fields.items())}


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**63 else number
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return _list(value.list_value)
    return None if kind in (None, "null_value") else getattr(value, kind)


def _list(values: ListValue) -> list[Any]:
    return [_plain(value) for value in values.values]


def _time_text(time: Timestamp) -> str:
    """RFC 3339 in UTC; Timestamp's own bounds are those of a four-digit year."""
    try:
        return time.ToJsonString()
    except ValueError:
        raise EventRejected(
            ErrorCode.INVALID_ITEM, "a timestamp is outside the years 1 to 9999"
        ) from None
