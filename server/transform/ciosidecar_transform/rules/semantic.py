"""Track events that do what their name says, as in Customer.io's pipelines. Rule 13.2."""

from collections.abc import Callable

from .. import semantic_names
from ..identifiers import is_phone, nested_id, within_limit
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
from ..outcomes import ErrorCode, EventRejected
from ..platforms import platform_of_name
from . import device
from .context import RuleContext
from .event_times import event_time
from .group import object_type
from .people import known_person

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


def _person(context: RuleContext) -> str:
    person = known_person(context)
    if person is None:
        raise EventRejected(
            ErrorCode.MISSING_IDENTITY,
            f"{context.event.event} needs a userId or an email (rule 13.2)",
        )
    return person


def _missing(context: RuleContext, needed: str) -> EventRejected:
    return EventRejected(
        ErrorCode.MISSING_PROPERTY, f"{context.event.event} needs {needed} (rule 13.2)"
    )


def _delete_person(context: RuleContext) -> DeletePerson:
    return DeletePerson(_person(context))


def _suppress(context: RuleContext) -> ChangeSuppression:
    return ChangeSuppression(_person(context), lifts=False)


def _unsuppress(context: RuleContext) -> ChangeSuppression:
    return ChangeSuppression(_person(context), lifts=True)


def _change_object(context: RuleContext, action: str, person: str | None) -> UpdateObject:
    properties = members(context.event.properties)
    raw = properties.get("objectId", ABSENT)
    object_id = nested_id(raw, "properties.objectId", context.warnings)
    if object_id is None:
        raise _missing(context, "properties.objectId")
    object_type_id = object_type(context, properties, "properties")
    within_limit(object_id, "properties.objectId")
    return UpdateObject(action, object_type_id, object_id, {}, person)


def _delete_object(context: RuleContext) -> UpdateObject:
    return _change_object(context, "delete", None)


def _delete_relationship(context: RuleContext) -> UpdateObject:
    person = _person(context)
    if is_phone(person):
        raise EventRejected(
            ErrorCode.INVALID_ID, "Customer.io has no relationships by phone number (rule 3.8)"
        )
    return _change_object(context, "delete_relationships", person)


def _device(context: RuleContext) -> dict[str, Raw]:
    """Return the device in the properties, where older senders put it."""
    return members(members(context.event.properties).get("device", ABSENT))


def _token(context: RuleContext, described: dict[str, Raw]) -> str:
    token = device.token(context, described)
    if token is None:
        raw = _device(context).get("token", ABSENT)
        token = nested_id(raw, "properties.device.token", context.warnings)
    if token is None:
        raise EventRejected(
            ErrorCode.MISSING_DEVICE_TOKEN,
            f"{context.event.event} needs context.device.token (rule 13.2)",
        )
    return token


def _add_device(context: RuleContext) -> AddDevice:
    person = _person(context)
    described = device.described_device(context.event)
    token = _token(context, described)
    type_in_properties = text_of(_device(context).get("type", ABSENT))
    platform = device.platform(context.event, described) or platform_of_name(type_in_properties)
    if platform is None:
        raise _missing(context, "a context.device.type of ios or android")
    return device.add_device(context, person, token, platform, described, described_by="device")


def _delete_device(context: RuleContext) -> DeleteDevice:
    person = _person(context)
    return DeleteDevice(person, _token(context, device.described_device(context.event)))


def _report_delivery(context: RuleContext) -> ReportDelivery:
    properties, warnings = members(context.event.properties), context.warnings
    raw = properties.get("deliveryId", ABSENT)
    delivery_id = nested_id(raw, "properties.deliveryId", warnings)
    if delivery_id is None:
        raise _missing(context, "properties.deliveryId")
    metric = text_of(properties.get("metric", ABSENT))
    if metric not in _METRICS:
        raise _missing(context, f"a properties.metric of {', '.join(_METRICS)}")
    raw = properties.get("recipient", ABSENT)
    recipient = nested_id(raw, "properties.recipient", warnings)
    token = device.token(context, device.described_device(context.event))
    reason, href, action_name, action_value = (
        text_of(properties.get(name, ABSENT))
        for name in ("reason", "href", "actionName", "actionValue")
    )
    return ReportDelivery(
        delivery_id,
        metric,
        event_time(context, "track"),
        recipient,
        token if recipient in (None, token) else None,
        reason,
        href,
        action_name,
        action_value,
    )


RULES: dict[str, Callable[[RuleContext], Operation]] = {
    semantic_names.USER_DELETED: _delete_person,
    semantic_names.USER_SUPPRESSED: _suppress,
    semantic_names.USER_UNSUPPRESSED: _unsuppress,
    semantic_names.OBJECT_DELETED: _delete_object,
    semantic_names.RELATIONSHIP_DELETED: _delete_relationship,
    semantic_names.DEVICE_CHANGED: _add_device,
    semantic_names.DEVICE_DELETED: _delete_device,
    semantic_names.DELIVERY_REPORTED: _report_delivery,
}
"""The rule of each semantic event, by the exact name of the event."""
