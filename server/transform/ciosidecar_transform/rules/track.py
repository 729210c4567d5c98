"""track: an ordinary event, a device event, or a semantic event. Rules 5.2, 6, 13.2."""

from ..operations import Operation
from ..outcomes import WarningCode
from . import device, semantic
from .context import RuleContext
from .event_body import send_event
from .names import first_name, sent_name
from .people import known_person


def operation(context: RuleContext) -> Operation:
    """Return the operation of a track.

    Raises:
        EventRejected: The event has no name, or as `send_event` and the rules of its name say.
        Filtered: As `send_event` says.
    """
    destination = context.destination
    name = context.event.event
    if destination.semantic_events:
        semantic_rule = semantic.RULES.get(name) if type(name) is str else None
        if semantic_rule is not None:
            return semantic_rule(context)
    if name == "Application Uninstalled":
        return device.delete_device(context)
    person = known_person(context)
    if name in destination.device_events and person is not None:
        described = device.described_device(context.event)
        token = device.token(context, described)
        if token is not None:
            platform = device.platform(context.event, described)
            if platform is not None:
                return device.add_device(context, person, token, platform, described)
            context.warn(
                WarningCode.UNKNOWN_PLATFORM,
                "the device is neither ios nor android: sent as an ordinary event (rule 6.1)",
            )
    return send_event(context, "track", sent_name(context, first_name(name)), person)
