"""track: an ordinary event, what happened to a device, or what its name says. Rules 5.2, 6, 13.2."""

from .. import identity
from ..event import Event
from ..names import first_name, sent_name
from ..operations import Operation
from ..outcomes import Warning, WarningCode
from ..settings.destination import Destination
from . import device, semantic
from .event_body import send_event


def operation(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> Operation:
    """Return what a track tells Customer.io. now: seconds since 1970."""
    name = event.event
    if destination.semantic_events:
        semantic_rule = semantic.RULES.get(name) if type(name) is str else None
        if semantic_rule is not None:
            return semantic_rule(event, destination, warnings, now)
    if name == "Application Uninstalled":
        return device.delete_device(event, destination, warnings)
    person = identity.known_person(event, destination.addressing, warnings)
    if name in destination.device_events and person is not None:
        token = device.token(event, warnings)
        if token is not None:
            platform = device.platform(event)
            if platform is not None:
                return device.add_device(event, person, token, platform, warnings, now)
            warnings.append(
                Warning(
                    WarningCode.UNKNOWN_PLATFORM,
                    "the device is neither ios nor android: sent as an ordinary event (6.1)",
                )
            )
    name = sent_name(first_name(name), warnings)
    return send_event(event, "track", name, person, destination, warnings, now)
