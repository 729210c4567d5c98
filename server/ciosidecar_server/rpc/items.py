"""An item of a batch → the JSON of its event."""

from typing import Any

from ciosidecar.v1 import event_pb2 as pb
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import DecodeError, Raw
from msgspec.json import encode, format

from ..transform.json_text import repair_surrogates
from ..transform.result import ErrorCode, Refused

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


def event_json(item: pb.BatchItem, json: bytes, max_bytes: int) -> bytes:
    """The event of an item. Raises Refused where there is none to transform, or it is too large.

    json: the item's own, which protobuf copies whenever it is read.
    """
    check_attempt(item)
    found = json or _event_json(item)
    if len(found) > max_bytes:
        raise Refused(ErrorCode.TOO_LARGE, f"the event has more than {max_bytes} bytes")
    return found


def check_attempt(item: pb.BatchItem) -> None:
    """Raise Refused for an item that was sent less than no time before."""
    if item.attempt < 0:
        raise Refused(ErrorCode.INVALID_ITEM, "attempt must not be negative (12.1)")


def _event_json(item: pb.BatchItem) -> bytes:
    payload = item.WhichOneof("payload")
    if payload == "json":
        return item.json
    if payload == "event":
        return _typed_event_json(item.event)
    if payload == "prepared":
        raise Refused(
            ErrorCode.INVALID_ITEM,
            "a prepared request can only be delivered, and this call does not deliver (12.1)",
        )
    raise Refused(ErrorCode.INVALID_ITEM, "the item has neither an event nor a request (12.1)")


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
        raise Refused(ErrorCode.INVALID_JSON, f"{field} is not JSON (1.1)") from None
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
        raise Refused(
            ErrorCode.INVALID_ITEM, "a timestamp is outside the years 1 to 9999"
        ) from None
