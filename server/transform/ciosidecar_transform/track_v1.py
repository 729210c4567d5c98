"""Writers of operations for Customer.io's Track API v1. Rules 4-9, 13."""

from typing import Any

from msgspec.json import encode

from .identifiers import in_path, kind_and_value
from .limits import within_count
from .native import twin
from .object_item import update_object
from .operations import (
    AddDevice,
    ChangeSegment,
    ChangeSuppression,
    DeleteDevice,
    DeletePerson,
    Identify,
    Merge,
    ReportDelivery,
    SendEvent,
    UpdateObject,
)
from .outcomes import Warning
from .requests import Endpoints, Request, SharedItem, Writers

# A screen view is an ordinary event: v1 has no type for it (rule 5.4).
_TYPE = {"track": b'"event"', "page": b'"page"', "screen": b'"event"'}


def identify(operation: Identify, endpoints: Endpoints, warnings: list[Warning]) -> Request:
    """Write an identify. Rule 4."""
    return Request(
        endpoints.identify,
        "/api/v1/customers/" + in_path(operation.person, "the user id"),
        encode(within_count(operation.attributes, warnings)),
    )


def _delete_person(
    operation: DeletePerson, endpoints: Endpoints, _warnings: list[Warning]
) -> Request:
    person = in_path(operation.person, "the user id")
    return Request(endpoints.delete_person, f"/api/v1/customers/{person}", b"")


def send_event(operation: SendEvent, endpoints: Endpoints, _warnings: list[Warning]) -> Request:
    """Write an event. Rule 5.1."""
    person = operation.person
    body = event_body(
        operation.name,
        _TYPE[operation.kind],
        operation.data,
        operation.timestamp,
        operation.event_id,
        operation.anonymous_id if person is None else None,
    )
    if person is None:
        return Request(endpoints.anonymous_event, "/api/v1/events", body)
    path = f"/api/v1/customers/{in_path(person, 'the user id')}/events"
    return Request(endpoints.event, path, body)


@twin
def event_body(
    name: str,
    kind_json: bytes,
    data: bytes,
    timestamp: int | None,
    event_id: str | None,
    anonymous_id: str | None,
    /,
) -> bytes:
    """Return the body of an event.

    Args:
        name: The event's name.
        kind_json: The type of the event, as JSON.
        data: The properties, as JSON.
        timestamp: The time of the event, or None to leave it out. Unit: seconds since 1970.
        event_id: A ULID, or None to leave it out.
        anonymous_id: What addresses an anonymous profile, or None for a known person.
    """
    # Joined from slices of the received event: a value that is not parsed cannot be damaged.
    parts = [b'{"name":', encode(name), b',"type":', kind_json, b',"data":', data]
    if timestamp is not None:
        parts.append(b',"timestamp":%d' % timestamp)
    if event_id is not None:
        parts.append(b',"id":"%b"' % event_id.encode())
    if anonymous_id is not None:
        parts += (b',"anonymous_id":', encode(anonymous_id))
    parts.append(b"}")
    return b"".join(parts)


def _add_device(operation: AddDevice, endpoints: Endpoints, _warnings: list[Warning]) -> Request:
    device: dict[str, Any] = {"id": operation.token, "platform": operation.platform}
    if operation.last_used is not None:
        device["last_used"] = operation.last_used
    if operation.attributes:
        device["attributes"] = operation.attributes
    return Request(
        endpoints.add_device,
        f"/api/v1/customers/{in_path(operation.person, 'the user id')}/devices",
        encode({"device": device}),
    )


def _delete_device(
    operation: DeleteDevice, endpoints: Endpoints, _warnings: list[Warning]
) -> Request:
    person = in_path(operation.person, "the user id")
    token = in_path(operation.token, "the device token")
    return Request(endpoints.delete_device, f"/api/v1/customers/{person}/devices/{token}", b"")


def _merge(operation: Merge, endpoints: Endpoints, _warnings: list[Warning]) -> Request:
    body = {
        "primary": dict([kind_and_value(operation.primary)]),
        "secondary": dict([kind_and_value(operation.secondary)]),
    }
    return Request(endpoints.merge, "/api/v1/merge_customers", encode(body))


def change_segment(
    operation: ChangeSegment, endpoints: Endpoints, _warnings: list[Warning]
) -> SharedItem:
    """Write a change of a segment, for v2 too: v2 has no endpoint for segments. Rule 9.5."""
    change = "remove_customers" if operation.removes else "add_customers"
    return SharedItem(
        endpoints.segment,
        f"/api/v1/segments/{operation.segment_id}/{change}?id_type={operation.kind}",
        encode(operation.identifier),
    )


def _change_suppression(
    operation: ChangeSuppression, endpoints: Endpoints, _warnings: list[Warning]
) -> Request:
    person = in_path(operation.person, "the user id")
    template = endpoints.unsuppress if operation.lifts else endpoints.suppress
    action = "unsuppress" if operation.lifts else "suppress"
    return Request(template, f"/api/v1/customers/{person}/{action}", b"")


def report_delivery(
    operation: ReportDelivery, endpoints: Endpoints, _warnings: list[Warning]
) -> Request:
    """Write a report on a message. Rule 13.2."""
    body: dict[str, Any] = {"delivery_id": operation.delivery_id, "metric": operation.metric}
    if operation.timestamp is not None:
        body["timestamp"] = operation.timestamp
    optional = {
        "recipient": operation.recipient or operation.device_token,
        "reason": operation.reason,
        "href": operation.href,
    }
    action = {"action_name": operation.action_name, "action_value": operation.action_value}
    body |= {name: text for name, text in optional.items() if text is not None}
    metadata = {name: text for name, text in action.items() if text is not None}
    if metadata:
        body["metadata"] = metadata
    return Request(endpoints.metrics, "/api/v1/metrics", encode(body))


WRITERS: Writers = {
    Identify: identify,
    DeletePerson: _delete_person,
    SendEvent: send_event,
    AddDevice: _add_device,
    DeleteDevice: _delete_device,
    Merge: _merge,
    ChangeSegment: change_segment,
    ChangeSuppression: _change_suppression,
    ReportDelivery: report_delivery,
    UpdateObject: update_object,
}
