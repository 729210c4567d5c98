"""screen: a screen view. Rule 5.4."""

from ..identifiers import is_blank
from ..json_text import ABSENT, members, text_of
from ..operations import SendEvent
from .context import RuleContext
from .event_body import send_event
from .names import MAX_EVENT_NAME_BYTES, first_name, sent_name
from .people import known_person

_MAX_SCREEN_NAME_BYTES = MAX_EVENT_NAME_BYTES - len("Viewed  Screen")


def operation(context: RuleContext) -> SendEvent:
    """Return the operation of a screen.

    Raises:
        EventRejected: The event has no name, or as `send_event` says.
        Filtered: As `send_event` says.
    """
    event = context.event
    name = event.event
    if type(name) is not str or is_blank(name):
        in_properties = text_of(members(event.properties).get("name", ABSENT))
        name = first_name(in_properties, event.name)
    screen_name = sent_name(context, name, max_bytes=_MAX_SCREEN_NAME_BYTES)
    person = known_person(context)
    return send_event(context, "screen", f"Viewed {screen_name} Screen", person)
