"""Track events that do what their name says, as in Customer.io's pipelines. Rule 13.2."""

from collections.abc import Callable

from .. import identity, semantic_names
from ..event import Event
from ..json_text import ABSENT, Raw, members, text_of
from ..operations import (
    AddDevice,
    ChangeSuppression,
    DeleteDevice,
    DeletePerson,
    Operation,
    ReportDelivery,
    UpdateObject,
)
from ..outcomes import ErrorCode, EventRejected, Warning
from ..platforms import platform_of_name
from ..settings.destination import Destination
from ..times import event_time
from . import device
from .group import object_type

_METRICS = (
    "bounced",
    "clicked",
    "converted",
    "deferred",
    "delivered",
    "dropped",
    "opened",
    "spammed",
)
_Rule = Callable[[Event, Destination, list[Warning], int], Operation]


def _person(event: Event, destination: Destination, warnings: list[Warning]) -> str:
    found = identity.known_person(event, destination.addressing, warnings)
    if found is None:
        raise EventRejected(
            ErrorCode.MISSING_IDENTITY, f"{event.event} needs a userId or an email (13.2)"
        )
    return found


def _missing(event: Event, what: str) -> EventRejected:
    return EventRejected(ErrorCode.MISSING_PROPERTY, f"{event.event} needs {what} (13.2)")


def _delete_person(
    event: Event, destination: Destination, warnings: list[Warning], _now: int
) -> DeletePerson:
    return DeletePerson(_person(event, destination, warnings))


def _suppress(
    event: Event, destination: Destination, warnings: list[Warning], _now: int
) -> ChangeSuppression:
    return ChangeSuppression(_person(event, destination, warnings), lifts=False)


def _unsuppress(
    event: Event, destination: Destination, warnings: list[Warning], _now: int
) -> ChangeSuppression:
    return ChangeSuppression(_person(event, destination, warnings), lifts=True)


def _change_object(
    event: Event, action: str, person: str | None, warnings: list[Warning]
) -> UpdateObject:
    properties = members(event.properties)
    raw = properties.get("objectId", ABSENT)
    object_id = identity.nested_id(raw, "properties.objectId", warnings)
    if object_id is None:
        raise _missing(event, "properties.objectId")
    object_type_id = object_type(properties, "properties", warnings)
    identity.within_limit(object_id, "properties.objectId")
    return UpdateObject(action, object_type_id, object_id, {}, person)


def _delete_object(
    event: Event, _destination: Destination, warnings: list[Warning], _now: int
) -> UpdateObject:
    return _change_object(event, "delete", None, warnings)


def _delete_relationship(
    event: Event, destination: Destination, warnings: list[Warning], _now: int
) -> UpdateObject:
    person = _person(event, destination, warnings)
    if identity.is_phone(person):
        raise EventRejected(
            ErrorCode.INVALID_ID, "Customer.io relates nobody by phone number (3.8)"
        )
    return _change_object(event, "delete_relationships", person, warnings)


def _device(event: Event) -> dict[str, Raw]:
    """The device as it stands in the properties, where older senders put it."""
    return members(members(event.properties).get("device", ABSENT))


def _token(event: Event, warnings: list[Warning]) -> str:
    found = device.token(event, warnings)
    if found is None:
        raw = _device(event).get("token", ABSENT)
        found = identity.nested_id(raw, "properties.device.token", warnings)
    if found is None:
        raise EventRejected(
            ErrorCode.MISSING_DEVICE_TOKEN, f"{event.event} needs context.device.token (13.2)"
        )
    return found


def _add_device(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> AddDevice:
    person = _person(event, destination, warnings)
    token = _token(event, warnings)
    own_type = text_of(_device(event).get("type", ABSENT))
    platform = device.platform(event) or platform_of_name(own_type)
    if platform is None:
        raise _missing(event, "a context.device.type of ios or android")
    return device.add_device(event, person, token, platform, warnings, now, but="device")


def _delete_device(
    event: Event, destination: Destination, warnings: list[Warning], _now: int
) -> DeleteDevice:
    person = _person(event, destination, warnings)
    return DeleteDevice(person, _token(event, warnings))


def _report_delivery(
    event: Event, _destination: Destination, warnings: list[Warning], now: int
) -> ReportDelivery:
    properties = members(event.properties)
    raw = properties.get("deliveryId", ABSENT)
    delivery_id = identity.nested_id(raw, "properties.deliveryId", warnings)
    if delivery_id is None:
        raise _missing(event, "properties.deliveryId")
    metric = text_of(properties.get("metric", ABSENT))
    if metric not in _METRICS:
        raise _missing(event, f"a properties.metric of {', '.join(_METRICS)}")
    raw = properties.get("recipient", ABSENT)
    recipient = identity.nested_id(raw, "properties.recipient", warnings)
    token = device.token(event, warnings)
    reason, href, action_name, action_value = (
        text_of(properties.get(name, ABSENT))
        for name in ("reason", "href", "actionName", "actionValue")
    )
    return ReportDelivery(
        delivery_id,
        metric,
        event_time(event, "track", warnings, now),
        recipient,
        token if recipient in (None, token) else None,
        reason,
        href,
        action_name,
        action_value,
    )


RULES: dict[str, _Rule] = {
    semantic_names.USER_DELETED: _delete_person,
    semantic_names.USER_SUPPRESSED: _suppress,
    semantic_names.USER_UNSUPPRESSED: _unsuppress,
    semantic_names.OBJECT_DELETED: _delete_object,
    semantic_names.RELATIONSHIP_DELETED: _delete_relationship,
    semantic_names.DEVICE_CHANGED: _add_device,
    semantic_names.DEVICE_DELETED: _delete_device,
    semantic_names.DELIVERY_REPORTED: _report_delivery,
}
"""By the name of the event, exactly so written."""
