"""A device and what is known of it. Rules 6.2-6.4."""

from msgspec import Raw

from .. import identity
from ..event import Event
from ..json_text import ABSENT, NULL, encode, first_byte, members, text_of
from ..limits import named, within_limits
from ..operations import AddDevice, Attributes, DeleteDevice
from ..outcomes import ErrorCode, EventRejected, Warning, WarningCode
from ..platforms import Platform, platform_of_library, platform_of_name
from ..settings.destination import Destination
from ..times import event_time

_BLANK = Raw(b'""')


def token(event: Event, warnings: list[Warning]) -> str | None:
    """Return the device token, or None."""
    raw = members(event.context.device).get("token", ABSENT)
    return identity.nested_id(raw, "context.device.token", warnings)


def platform(event: Event) -> Platform | None:
    """6.2"""
    context = event.context
    return (
        platform_of_name(text_of(members(context.device).get("type", ABSENT)))
        or platform_of_name(text_of(members(context.os).get("name", ABSENT)))
        or platform_of_library(text_of(members(context.library).get("name", ABSENT)))
    )


def add_device(
    event: Event,
    person: str,
    token: str,
    on: Platform,
    warnings: list[Warning],
    now: int,
    *,
    but: str = "",
) -> AddDevice:
    """6.3

    now: seconds since 1970. but: the property that describes the device instead of being an attribute of it.
    """
    context = event.context
    known = {
        "device_os": members(context.os).get("name", ABSENT),
        "device_model": members(context.device).get("model", ABSENT),
        "app_version": members(context.app).get("version", ABSENT),
        "device_locale": context.locale,
    }
    attributes = {name: raw for name, raw in known.items() if raw and raw != _BLANK}
    if event.properties and event.properties != NULL and first_byte(event.properties) != b"{":
        warnings.append(
            Warning(WarningCode.WRONG_TYPE, "properties is not an object and was passed over (5.1)")
        )
    attributes |= members(event.properties)
    attributes.pop(but, None)
    attributes = within_limits(_as_texts(attributes, warnings), warnings)
    return AddDevice(person, token, on, event_time(event, "track", warnings, now), attributes)


def _as_texts(attributes: Attributes, warnings: list[Warning]) -> Attributes:
    """Customer.io wants texts: 789 becomes "789", null nothing at all."""
    texts = {}
    for name, raw in attributes.items():
        kind = first_byte(raw)
        if kind == b'"':
            texts[name] = raw
        elif kind in (b"{", b"["):
            warnings.append(
                Warning(
                    WarningCode.DEVICE_ATTRIBUTE_LEFT_OUT,
                    f"device {named(name)} is an object or array and was left out (6.3)",
                )
            )
        elif kind != b"n":
            texts[name] = Raw(encode(bytes(raw).decode()))
    return texts


def delete_device(event: Event, destination: Destination, warnings: list[Warning]) -> DeleteDevice:
    """6.4"""
    person = identity.known_person(event, destination.addressing, warnings)
    found = token(event, warnings)
    if person is None or found is None:
        raise EventRejected(
            ErrorCode.MISSING_DEVICE_TOKEN,
            "Application Uninstalled needs a known person and context.device.token (6.4)",
        )
    return DeleteDevice(person, found)
