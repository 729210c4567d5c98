"""screen: a screen view. Rule 5.4."""

from .. import identity
from ..event import Event
from ..json_text import ABSENT, members, text_of
from ..names import MAX_EVENT_NAME_BYTES, first_name, sent_name
from ..operations import SendEvent
from ..outcomes import Warning
from ..settings.destination import Destination
from .event_body import send_event

_MAX_OWN_NAME_BYTES = MAX_EVENT_NAME_BYTES - len("Viewed  Screen")


def operation(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> SendEvent:
    """Return what a screen tells Customer.io. now: seconds since 1970."""
    name = event.event
    if type(name) is not str or identity.is_blank(name):
        in_properties = text_of(members(event.properties).get("name", ABSENT))
        name = first_name(in_properties, event.name)
    own_name = sent_name(name, warnings, max_bytes=_MAX_OWN_NAME_BYTES)
    person = identity.known_person(event, destination.addressing, warnings)
    name = f"Viewed {own_name} Screen"
    return send_event(event, "screen", name, person, destination, warnings, now)
