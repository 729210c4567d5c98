"""page: a page view. Rule 5.3."""

from ..identifiers import is_blank
from ..json_text import ABSENT, members, text_of
from ..operations import SendEvent
from .context import RuleContext
from .event_body import send_event
from .names import first_name, sent_name
from .people import known_person


def operation(context: RuleContext) -> SendEvent:
    """Return the operation of a page.

    Raises:
        EventRejected: The event has no name, or as `send_event` says.
        Filtered: As `send_event` says.
    """
    event = context.event
    name = event.name
    if type(name) is not str or is_blank(name):
        properties, page = members(event.properties), members(event.context.page)
        name = first_name(
            *(text_of(properties.get(member, ABSENT)) for member in ("url", "path")),
            *(text_of(page.get(member, ABSENT)) for member in ("url", "path")),
            *(text_of(place.get("title", ABSENT)) for place in (properties, page)),
        )
    person = known_person(context)
    return send_event(context, "page", sent_name(context, name), person)
