"""Events, page and screen views: of somebody known, or of an anonymous id."""

from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import decode

from ..events import is_ulid
from ..identifiers import Identifier
from ..outcome import Effect, applied, dropped
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
    """An event, once: a repeat of its id is ignored.

    who: None for an "invite event", whose data names a recipient.
    event_id: a ULID; another text is taken, but does not tell repeats apart.
    """
    person = None
    if who is not None:
        if who.kind == "anonymous_id":
            person = owner_now(workspace, who.value)
        else:
            found = find_or_create(workspace, who)
            if isinstance(found, Effect):
                return found
            person = found
    remarks: list[str] = []
    if event_id is not None and event_id != "":
        if type(event_id) is str and is_ulid(event_id):
            if workspace.events.is_repeat(event_id):
                return dropped(
                    f"an event with the id {event_id} came before",
                    person.cio_id if person is not None else "",
                )
        else:
            remarks.append("the event's id is no ULID, so repeats are not recognised by it")
    if who is None and not _has_recipient(data_json):
        return dropped("without anonymous_id and without data.recipient it reaches nobody")
    at = workspace.time_of(timestamp, remarks)
    event = workspace.add_event(at, kind, name, data_json)
    event.id = event_id if type(event_id) is str else None
    if who is not None and who.kind == "anonymous_id":
        event.anonymous_id = who.value
        if person is None:
            workspace.events.wait(event, who.value)
            if who.value in workspace.claims:
                remarks.append("its anonymous_id was claimed a while ago: it waits for an identify")
    if person is None:
        return applied("", remarks)
    workspace.give(person, event)
    return applied(person.cio_id, remarks)


class _Recipient(Struct):
    recipient: str


def _has_recipient(data_json: bytes) -> bool:
    try:
        decode(data_json, type=_Recipient)
    except DecodeError:
        return False
    return True
