"""An item of a batch → the JSON of its event, its destination and its connection."""

from typing import Any

import msgspec
from ciosidecar.v1 import event_pb2 as pb
from ciosidecar.v1 import request_pb2
from ciosidecar_transform import AnyDestination, Outcome
from ciosidecar_transform.json_text import NOT_JSON, repair_surrogates
from ciosidecar_transform.outcomes import ErrorCode, EventRejected, rejected
from ciosidecar_transform.pipeline import internal_error
from ciosidecar_transform.settings.connections import Connection
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Raw
from msgspec.json import encode, format

from .counting import DestinationLabel
from .destinations import KnownDestinations
from .request_message import Batch, ItemOptions
from .structs import StructReader, too_large

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
    fields: ItemOptions
    """What the caller sent beside the payload."""
    label: DestinationLabel
    """The name of its destination in logs and metrics."""

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
    hides_credentials: bool
    """Whether the caller must not see the credentials of the destination."""


class RejectedItem(_Item, gc=False):
    """An item that cannot be transformed."""

    outcome: Outcome


class PreparedItem(_Item, gc=False):
    """A prepared request."""

    request: request_pb2.PreparedRequest


Decoded = DecodedEvent | RejectedItem | PreparedItem


_NEGATIVE_ATTEMPT = EventRejected(
    ErrorCode.INVALID_ITEM, "attempt must not be negative (rule 12.1)"
)


class BatchDecoder:
    """A decoder of the items of one batch."""

    def __init__(self, batch: Batch, known: KnownDestinations, max_event_bytes: int) -> None:
        self._known = known
        self._listed = known.listed
        self._connection_of = known.connections.get
        self._max_event_bytes = max_event_bytes
        self._default_destination = batch.destination
        self._default_connection = batch.connection
        # The destination and the connection of the last item: most items have the same as the item before.
        self._take_destination(batch.destination)
        self._connection_id = batch.connection
        self._connection = self._connection_of(batch.connection)

    def _take_destination(self, reference_id: int) -> None:
        declared = self._known.get(reference_id, self._listed)
        self._destination, self._label, self._hides_credentials = declared
        # Last: if the look-up fails, the next item must not go to the destination before.
        self._reference_id = reference_id

    def decode(self, position: int, item: ItemOptions, json: bytes) -> Decoded:
        """Return the decoded item. json: the event; b"" if the payload is something else."""
        try:
            reference_id = item.destination or self._default_destination
            if reference_id != self._reference_id:
                self._take_destination(reference_id)
            label, destination = self._label, self._destination
            if (
                not json
                and isinstance(item, pb.BatchItem)
                and item.WhichOneof("payload") == "prepared"
            ):
                return _decode_prepared(position, item, label)
            if isinstance(destination, Outcome):
                return RejectedItem(position, item, label, destination)
            if item.attempt < 0:
                return _rejected(position, item, label, _NEGATIVE_ATTEMPT)
            if not json:
                try:
                    json = _other_event_json(item, self._max_event_bytes)
                except EventRejected as rejection:
                    return _rejected(position, item, label, rejection)
            if len(json) > self._max_event_bytes:
                return _rejected(position, item, label, too_large(self._max_event_bytes))
            connection_id = item.connection or self._default_connection
            if connection_id != self._connection_id:
                self._connection = self._connection_of(connection_id)
                self._connection_id = connection_id
            return DecodedEvent(
                position, item, label, json, destination, self._connection, self._hides_credentials
            )
        except Exception as fault:  # noqa: BLE001 - one item's fault is not the batch's
            return RejectedItem(position, item, self._label, internal_error(fault, []))


def _decode_prepared(
    position: int, item: pb.BatchItem, label: DestinationLabel
) -> PreparedItem | RejectedItem:
    if item.attempt < 0:
        return _rejected(position, item, label, _NEGATIVE_ATTEMPT)
    return PreparedItem(position, item, label, item.prepared)


def _rejected(
    position: int, item: ItemOptions, label: DestinationLabel, rejection: EventRejected
) -> RejectedItem:
    return RejectedItem(position, item, label, rejected(rejection))


def _other_event_json(item: ItemOptions, max_event_bytes: int) -> bytes:
    if isinstance(item, pb.BatchItem):
        payload = item.WhichOneof("payload")
        if payload == "json":
            return item.json
        if payload == "event":
            return _typed_event_json(item.event, StructReader(max_event_bytes))
    raise EventRejected(
        ErrorCode.INVALID_ITEM, "the item has neither an event nor a request (rule 12.1)"
    )


def _typed_event_json(typed: pb.RudderEvent, structs: StructReader) -> bytes:
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
            value = _object(getattr(typed, field), field, structs)
            if value is not None:
                event[key] = value
    return encode(event)


def _object(
    json_object: pb.JsonObject, field: str, structs: StructReader
) -> Raw | dict[str, Any] | None:
    form = json_object.WhichOneof("form")
    if form is None or (form == "json" and not json_object.json):
        return None
    if form == "fields":
        return structs.read(json_object.fields)
    try:
        # format() accepts one value only: the text cannot add members to the event around it.
        return Raw(format(json_object.json, indent=-1))
    except NOT_JSON:
        pass
    try:
        # Unpaired surrogates are repaired, with a warning, when the whole event is read (rule 1.1).
        format(repair_surrogates(json_object.json), indent=-1)
    except NOT_JSON:
        raise EventRejected(ErrorCode.INVALID_JSON, f"{field} is not JSON (rule 1.1)") from None
    return Raw(json_object.json)


def _time_text(time: Timestamp) -> str:
    """Return a time as RFC 3339 in UTC. Timestamp accepts the years 1 to 9999 only."""
    try:
        return time.ToJsonString()
    except ValueError:
        raise EventRejected(
            ErrorCode.INVALID_ITEM, "a timestamp is outside the years 1 to 9999"
        ) from None
