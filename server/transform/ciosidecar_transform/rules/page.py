"""page: a page view. Rule 5.3."""

from .. import identity
from ..event import Event
from ..json_text import ABSENT, members, text_of
from ..names import first_name, sent_name
from ..operations import SendEvent
from ..outcomes import Warning
from ..settings.destination import Destination
from .event_body import send_event


def operation(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> SendEvent:
    """Return what a page tells Customer.io. now: seconds since 1970."""
    name = event.name
    if type(name) is not str or identity.is_blank(name):
        properties, page = members(event.properties), members(event.context.page)
        name = first_name(
            *(text_of(properties.get(member, ABSENT)) for member in ("url", "path")),
            *(text_of(page.get(member, ABSENT)) for member in ("url", "path")),
            *(text_of(place.get("title", ABSENT)) for place in (properties, page)),
        )
    person = identity.known_person(event, destination.addressing, warnings)
    return send_event(event, "page", sent_name(name, warnings), person, destination, warnings, now)
