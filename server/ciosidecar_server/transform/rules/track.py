"""track: an ordinary event, or what happened to a device. SPEC 5.2, 6."""

from .. import identity
from ..destination import Destination
from ..event import Event
from ..json_text import ABSENT, members
from ..names import cut_name, first_name
from ..operations import AddDevice, DeleteDevice, SendEvent
from ..result import ErrorCode, Refused, Warning, WarningCode
from . import device
from .event_body import send_event


def operation(
    event: Event, destination: Destination, warnings: list[Warning], _now: int
) -> SendEvent | AddDevice | DeleteDevice:
    """What a track tells Customer.io."""
    name = event.event
    if name == "Application Uninstalled":
        return _delete_device(event)
    person = identity.known_person(event)
    if name in destination.device_events and person is not None:
        token = _token(event)
        if token is not None:
            platform = device.platform(event)
            if platform is not None:
                return device.add_device(event, person, token, platform, warnings)
            warnings.append(
                Warning(
                    WarningCode.UNKNOWN_PLATFORM,
                    "the device is neither ios nor android: sent as an ordinary event (6.1)",
                )
            )
    name = cut_name(first_name(name), warnings)
    return send_event(event, "track", name, person, destination, warnings)


def _token(event: Event) -> str | None:
    return identity.nested_id(members(event.context.device).get("token", ABSENT))


def _delete_device(event: Event) -> DeleteDevice:
    """6.4"""
    person, token = identity.known_person(event), _token(event)
    if person is None or token is None:
        raise Refused(
            ErrorCode.MISSING_DEVICE_TOKEN,
            "Application Uninstalled needs a known person and context.device.token (6.4)",
        )
    return DeleteDevice(person, token)
