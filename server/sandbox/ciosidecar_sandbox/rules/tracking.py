"""The calls for events, page views and screen views of a person or an anonymous id."""

from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import decode

from ..events import is_ulid
from ..identifiers import Identifier
from ..outcome import Effect, applied, dropped
from ..people import Person
from ..workspace import Workspace
from .anonymous import owner_now
from .finding import find_or_create


def track(
    workspace: Workspace,
    who: Identifier | None,
    kind: str,
    name: str,
    data_json: bytes,
    event_id: Any = None,
    timestamp: Any = None,
) -> Effect:
    """Add an event. If its id is a ULID and came before, the event is ignored.

    Args:
        workspace: The workspace to change.
        who: The person or anonymous id; None for an "invite event", whose data has a recipient.
        kind: event, page, screen or form.
        name: The event's name.
        data_json: The event's data as a JSON object.
        event_id: The event's id as sent. Only a ULID makes repeats recognisable.
        timestamp: The event's timestamp as sent.
    """
    person = _person(workspace, who)
    if isinstance(person, Effect):
        return person
    remarks: list[str] = []
    if event_id is not None and event_id != "":
        if type(event_id) is str and is_ulid(event_id):
            if workspace.events.is_repeat(event_id):
                return dropped(
                    f"an event with the id {event_id} came before",
                    person.cio_id if person is not None else "",
                )
        else:
            remarks.append("the event's id is not a ULID, so repeats are not recognised")
    if who is None and not _has_recipient(data_json):
        return dropped("an event without anonymous_id and data.recipient concerns no person")
    at = workspace.time_of(timestamp, remarks)
    event = workspace.add_event(at, kind, name, data_json)
    event.id = event_id if type(event_id) is str else None
    if who is not None and who.kind == "anonymous_id":
        event.anonymous_id = who.value
        if person is None:
            workspace.events.wait(event, who.value)
            if who.value in workspace.claims:
                remarks.append(
                    "its anonymous_id was identified earlier: the event waits for another identify"
                )
    if person is None:
        return applied("", remarks)
    workspace.give(person, event)
    return applied(person.cio_id, remarks)


def _person(workspace: Workspace, who: Identifier | None) -> Person | Effect | None:
    """Return the person of the event; None if it has no person yet; an Effect if it is ignored."""
    if who is None:
        return None
    if who.kind == "anonymous_id":
        return owner_now(workspace, who.value)
    return find_or_create(workspace, who)


class _Recipient(Struct):
    recipient: str


def _has_recipient(data_json: bytes) -> bool:
    try:
        decode(data_json, type=_Recipient)
    except DecodeError:
        return False
    return True
