"""Operation → request in Customer.io's Track API v1. SPEC 4-8."""

from collections.abc import Callable
from typing import Any

from msgspec.json import encode

from .destination import Destination
from .identity import in_path, kind_and_value
from .operations import (
    AddDevice,
    DeleteDevice,
    Identify,
    Merge,
    Operation,
    SendEvent,
    UpdateObject,
)
from .request import BatchItem, Request
from .result import ErrorCode, Refused

MAX_ITEM_BYTES = 32_768
# screen views are ordinary events here: v1 has no name of its own for them (5.4)
_TYPE = {"track": b'"event"', "page": b'"page"', "screen": b'"event"'}


def request(operation: Operation, destination: Destination) -> Request | BatchItem:
    """The HTTP call an operation becomes, or its item of a call that it may share with others."""
    return _WRITERS[type(operation)](operation, destination)


def _identify(operation: Identify, destination: Destination) -> Request:
    return Request(
        destination.endpoints.identify,
        "/api/v1/customers/" + in_path(operation.person, "the user id"),
        encode(operation.attributes),
    )


def _send_event(operation: SendEvent, destination: Destination) -> Request:
    # Joined from the slices the event came in: what is not parsed cannot be damaged.
    parts: list[Any] = [
        b'{"name":',
        encode(operation.name),
        b',"type":',
        _TYPE[operation.kind],
        b',"data":',
        operation.data,
    ]
    if operation.timestamp is not None:
        parts.append(b',"timestamp":%d' % operation.timestamp)
    if operation.event_id is not None:
        parts.append(b',"id":"%b"' % operation.event_id.encode())
    if operation.person is None:
        parts += (b',"anonymous_id":', encode(operation.anonymous_id), b"}")
        return Request(destination.endpoints.anonymous_event, "/api/v1/events", b"".join(parts))
    parts.append(b"}")
    return Request(
        destination.endpoints.event,
        f"/api/v1/customers/{in_path(operation.person, 'the user id')}/events",
        b"".join(parts),
    )


def _add_device(operation: AddDevice, destination: Destination) -> Request:
    device: dict[str, Any] = {"id": operation.token, "platform": operation.platform}
    if operation.last_used is not None:
        device["last_used"] = operation.last_used
    if operation.attributes:
        device["attributes"] = operation.attributes
    return Request(
        destination.endpoints.add_device,
        f"/api/v1/customers/{in_path(operation.person, 'the user id')}/devices",
        encode({"device": device}),
    )


def _delete_device(operation: DeleteDevice, destination: Destination) -> Request:
    person = in_path(operation.person, "the user id")
    token = in_path(operation.token, "the device token")
    return Request(
        destination.endpoints.delete_device, f"/api/v1/customers/{person}/devices/{token}", b""
    )


def _merge(operation: Merge, destination: Destination) -> Request:
    body = {
        "primary": dict([kind_and_value(operation.primary)]),
        "secondary": dict([kind_and_value(operation.secondary)]),
    }
    return Request(destination.endpoints.merge, "/api/v1/merge_customers", encode(body))


def object_item(operation: UpdateObject) -> BatchItem:
    """An object's item of a batch, the same in both dialects. Raises Refused(TOO_LARGE). SPEC 8."""
    item: dict[str, Any] = {
        "type": "object",
        "action": operation.action,
        "identifiers": {
            "object_type_id": operation.object_type_id,
            "object_id": operation.object_id,
        },
        "attributes": operation.attributes,
        "cio_relationships": []
        if operation.person is None
        else [{"identifiers": dict([kind_and_value(operation.person)])}],
    }
    body = encode(item)
    if len(body) > MAX_ITEM_BYTES:
        raise Refused(
            ErrorCode.TOO_LARGE, f"the group becomes more than {MAX_ITEM_BYTES} bytes (10.2)"
        )
    return BatchItem(body)


_WRITERS: dict[type, Callable[[Any, Destination], Request | BatchItem]] = {
    Identify: _identify,
    SendEvent: _send_event,
    AddDevice: _add_device,
    DeleteDevice: _delete_device,
    Merge: _merge,
    UpdateObject: lambda operation, _: object_item(operation),
}
