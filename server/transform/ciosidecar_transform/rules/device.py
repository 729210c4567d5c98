"""A device and its attributes. Rules 6.2-6.4."""

from msgspec import Raw

from ..event import Event
from ..identifiers import nested_id
from ..json_text import ABSENT, NULL, encode, first_byte, members, text_of
from ..limits import named, within_limits
from ..operations import AddDevice, Attributes, DeleteDevice
from ..outcomes import ErrorCode, EventRejected, WarningCode
from ..platforms import Platform, platform_of_library, platform_of_name
from .context import RuleContext
from .event_times import event_time
from .people import known_person

_BLANK = Raw(b'""')


def described_device(event: Event) -> dict[str, Raw]:
    """Return the members of `context.device`. The functions below read them, so that they are decoded once."""
    return members(event.context.device)


def token(context: RuleContext, described: dict[str, Raw]) -> str | None:
    """Return the device token, or None. described: the members of `context.device`."""
    raw = described.get("token", ABSENT)
    return nested_id(raw, "context.device.token", context.warnings)


def platform(event: Event, described: dict[str, Raw]) -> Platform | None:
    """Return the platform of the device, or None if it is neither ios nor android. Rule 6.2.

    described: the members of `context.device`.
    """
    context = event.context
    return (
        platform_of_name(text_of(described.get("type", ABSENT)))
        or platform_of_name(text_of(members(context.os).get("name", ABSENT)))
        or platform_of_library(text_of(members(context.library).get("name", ABSENT)))
    )


def add_device(
    context: RuleContext,
    person: str,
    token: str,
    platform: Platform,
    described: dict[str, Raw],
    *,
    described_by: str = "",
) -> AddDevice:
    """Return the operation that registers a device. Rule 6.3.

    Args:
        context: The event whose context and properties become the device's attributes.
        person: What addresses the person.
        token: The device token.
        platform: The device's platform.
        described: The members of `context.device`.
        described_by: The property that describes the device and so is no attribute of it.
    """
    event = context.event
    properties = event.properties
    known = {
        "device_os": members(event.context.os).get("name", ABSENT),
        "device_model": described.get("model", ABSENT),
        "app_version": members(event.context.app).get("version", ABSENT),
        "device_locale": event.context.locale,
    }
    attributes = {name: raw for name, raw in known.items() if raw and raw != _BLANK}
    if properties and properties != NULL and first_byte(properties) != b"{":
        context.warn(
            WarningCode.WRONG_TYPE, "properties is not an object and was ignored (rule 5.1)"
        )
    attributes |= members(properties)
    attributes.pop(described_by, None)
    attributes = within_limits(_as_texts(context, attributes), context.warnings)
    return AddDevice(person, token, platform, event_time(context, "track"), attributes)


def _as_texts(context: RuleContext, attributes: Attributes) -> Attributes:
    """Return the attributes as texts, as Customer.io requires: 789 becomes "789", null is left out."""
    texts = {}
    for name, raw in attributes.items():
        kind = first_byte(raw)
        if kind == b'"':
            texts[name] = raw
        elif kind in (b"{", b"["):
            context.warn(
                WarningCode.DEVICE_ATTRIBUTE_LEFT_OUT,
                f"device {named(name)} is an object or array and was left out (rule 6.3)",
            )
        elif kind != b"n":
            texts[name] = Raw(encode(bytes(raw).decode()))
    return texts


def delete_device(context: RuleContext) -> DeleteDevice:
    """Return the operation of Application Uninstalled. Rule 6.4.

    Raises:
        EventRejected: MISSING_DEVICE_TOKEN, for an event without person or token.
    """
    person = known_person(context)
    device_token = token(context, described_device(context.event))
    if person is None or device_token is None:
        raise EventRejected(
            ErrorCode.MISSING_DEVICE_TOKEN,
            "Application Uninstalled needs a known person and context.device.token (rule 6.4)",
        )
    return DeleteDevice(person, device_token)
