"""Writers of operations for Customer.io's Track API v2: items of /api/v2/batch. Rule 10."""

from typing import Any

from msgspec.json import encode

from .identifiers import has_v1_path, kind_and_value
from .json_text import ABSENT, Raw, members, text_of
from .limits import within_count
from .native import twin
from .object_item import update_object
from .operations import (
    ADD_RELATIONSHIPS,
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
from .outcomes import Warning, WarningCode
from .requests import (
    BATCH_PATH,
    MAX_ITEM_BYTES,
    Endpoints,
    Request,
    SharedItem,
    Writers,
    batch_item,
)
from .track_v1 import change_segment, identify, report_delivery, send_event

_PUSH_METRICS = ("opened", "converted", "delivered")

_EVENT = {
    "track": b'{"type":"person","action":"event","identifiers":',
    "page": b'{"type":"person","action":"page","identifiers":',
    "screen": b'{"type":"person","action":"screen","identifiers":',
}


def _identifiers(person: str) -> bytes:
    """Return the identifiers of a person as JSON. Rule 3.7."""
    kind, identifier = kind_and_value(person)
    return encode({kind: identifier})


def _identify(
    operation: Identify, endpoints: Endpoints, warnings: list[Warning]
) -> Request | SharedItem:
    """Write an identify. Rules 10.1, 10.2."""
    attributes = operation.attributes
    relationship_parts: list[bytes | Raw] = []
    if "_timestamp" in attributes or "cio_relationships" in attributes:
        attributes = attributes.copy()
        attributes.pop("_timestamp", None)
        relationships = attributes.pop("cio_relationships", ABSENT)
        if relationships:
            fields = members(relationships)
            if text_of(fields["action"]) == ADD_RELATIONSHIPS:
                relationship_parts = [b',"cio_relationships":', fields["relationships"]]
            elif has_v1_path(operation.person):
                return identify(operation, endpoints, warnings)
            else:
                _warn_of_deletion(warnings)
    count_warnings: list[Warning] = []
    parts: list[Any] = [
        b'{"type":"person","action":"identify","identifiers":',
        _identifiers(operation.person),
        b',"attributes":',
        encode(within_count(attributes, count_warnings)),
        *relationship_parts,
    ]
    if operation.timestamp is not None:
        parts.append(b',"timestamp":%d' % operation.timestamp)
    parts.append(b"}")
    body = b"".join(parts)
    if len(body) > MAX_ITEM_BYTES and has_v1_path(operation.person):
        # v1 takes more bytes, and counts the attributes in its own way (rule 10.2).
        return identify(operation, endpoints, warnings)
    if count_warnings:
        warnings += count_warnings
    return batch_item(endpoints, body, "identify")


def _warn_of_deletion(warnings: list[Warning]) -> None:
    warnings.append(
        Warning(
            WarningCode.RELATIONSHIP_LEFT_OUT,
            "the deletion of relationships in attribute 'cio_relationships' was left out: only v1 can"
            " delete them, and v1 does not take this identifier (rule 10.1)",
        )
    )


def _delete_person(
    operation: DeletePerson, endpoints: Endpoints, _warnings: list[Warning]
) -> SharedItem:
    body = b'{"type":"person","action":"delete","identifiers":%b}' % _identifiers(operation.person)
    return batch_item(endpoints, body, "deletion")


def _send_event(
    operation: SendEvent, endpoints: Endpoints, warnings: list[Warning]
) -> Request | SharedItem:
    if operation.person is None:
        id_type, identifier = "anonymous_id", operation.anonymous_id or ""
    else:
        id_type, identifier = kind_and_value(operation.person)
    body = event_item(
        _EVENT[operation.kind],
        id_type,
        identifier,
        operation.name,
        operation.event_id,
        operation.timestamp,
        operation.data,
    )
    if len(body) <= MAX_ITEM_BYTES:
        return SharedItem(endpoints.batch, BATCH_PATH, body)  # the usual case, a call early
    if has_v1_path(operation.person):
        return send_event(operation, endpoints, warnings)  # v1 takes 100,000 bytes (rule 10.2)
    return batch_item(endpoints, body, "event")


@twin
def event_item(
    opening: bytes,
    id_type: str,
    identifier: str,
    name: str,
    event_id: str | None,
    timestamp: int | None,
    data: bytes,
    /,
) -> bytes:
    """Return the item of an event.

    Args:
        opening: The item up to its identifiers.
        id_type: The kind of the identifier.
        identifier: What addresses the person or the anonymous profile.
        name: The event's name.
        event_id: A ULID, or None to leave it out.
        timestamp: The time of the event, or None to leave it out. Unit: seconds since 1970.
        data: The properties, as JSON.
    """
    # Joined from slices of the received event, as in v1.
    parts = [opening, encode({id_type: identifier}), b',"name":', encode(name)]
    if event_id is not None:
        parts.append(b',"id":"%b"' % event_id.encode())
    if timestamp is not None:
        parts.append(b',"timestamp":%d' % timestamp)
    parts += (b',"attributes":', data, b"}")
    return b"".join(parts)


def _add_device(operation: AddDevice, endpoints: Endpoints, _warnings: list[Warning]) -> SharedItem:
    device: dict[str, Any] = {"token": operation.token, "platform": operation.platform}
    if operation.last_used is not None:
        device["last_used"] = operation.last_used
    if operation.attributes:
        device["attributes"] = operation.attributes
    return _device(endpoints, "add_device", operation.person, device)


def _delete_device(
    operation: DeleteDevice, endpoints: Endpoints, _warnings: list[Warning]
) -> SharedItem:
    return _device(endpoints, "delete_device", operation.person, {"token": operation.token})


def _device(endpoints: Endpoints, action: str, person: str, device: dict[str, Any]) -> SharedItem:
    item = {
        "type": "person",
        "action": action,
        "identifiers": dict([kind_and_value(person)]),
        "device": device,
    }
    return batch_item(endpoints, encode(item), "device")


def _merge(operation: Merge, endpoints: Endpoints, _warnings: list[Warning]) -> SharedItem:
    item = {
        "type": "person",
        "action": "merge",
        "primary": dict([kind_and_value(operation.primary)]),
        "secondary": dict([kind_and_value(operation.secondary)]),
    }
    return batch_item(endpoints, encode(item), "alias")


def _change_suppression(
    operation: ChangeSuppression, endpoints: Endpoints, _warnings: list[Warning]
) -> SharedItem:
    action = b"unsuppress" if operation.lifts else b"suppress"
    identifiers = _identifiers(operation.person)
    body = b'{"type":"person","action":"%b","identifiers":%b}' % (action, identifiers)
    return batch_item(endpoints, body, "suppression")


def _report_delivery(
    operation: ReportDelivery, endpoints: Endpoints, warnings: list[Warning]
) -> Request | SharedItem:
    """Write a report on a message. v2 takes those of a push only; v1 takes the rest. Rule 13.2."""
    only_v1 = (operation.reason, operation.href, operation.action_name, operation.action_value)
    token = operation.device_token
    if token is None or only_v1 != (None,) * 4 or operation.metric not in _PUSH_METRICS:
        return report_delivery(operation, endpoints, warnings)
    item: dict[str, Any] = {
        "type": "delivery",
        "action": "event",
        "identifiers": {"id": operation.delivery_id},
        "name": operation.metric,
        "attributes": {"device_token": token},
    }
    if operation.timestamp is not None:
        item["timestamp"] = operation.timestamp
    return batch_item(endpoints, encode(item), "report")


WRITERS: Writers = {
    Identify: _identify,
    DeletePerson: _delete_person,
    SendEvent: _send_event,
    AddDevice: _add_device,
    DeleteDevice: _delete_device,
    Merge: _merge,
    ChangeSegment: change_segment,
    ChangeSuppression: _change_suppression,
    ReportDelivery: _report_delivery,
    UpdateObject: update_object,
}
