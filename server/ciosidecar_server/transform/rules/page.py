"""page: a page view. SPEC 5.3."""

from .. import identity
from ..destination import Destination
from ..event import Event
from ..json_text import ABSENT, members, text_of
from ..names import cut_name, first_name
from ..operations import SendEvent
from ..result import Warning
from .event_body import send_event


def operation(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> SendEvent:
    """What a page tells Customer.io."""
    name = event.name
    if type(name) is not str or identity.is_blank(name):
        properties = members(event.properties)
        name = first_name(
            text_of(properties.get("url", ABSENT)), text_of(properties.get("path", ABSENT))
        )
    person = identity.known_person(event, by_phone=destination.phone_as_identifier)
    return send_event(event, "page", cut_name(name, warnings), person, destination, warnings, now)
