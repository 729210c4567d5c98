"""The part that track, page and screen have in common. Rules 3.4, 5.1, 5.6, 5.7, 13.9."""

from typing import Literal

from msgspec import Raw

from .. import identity
from ..event_id import event_id
from ..json_text import NULL, compact_size
from ..operations import SendEvent
from ..outcomes import ErrorCode, EventRejected, Filtered, FilterReason, WarningCode
from .context import RuleContext
from .event_times import event_time

MAX_DATA_BYTES = 100_000


def send_event(
    context: RuleContext, kind: Literal["track", "page", "screen"], name: str, person: str | None
) -> SendEvent:
    """Return the operation that sends an event, once its name and its known person are settled.

    Args:
        context: The event.
        kind: The event's type in lower case.
        name: The event's name as it is sent.
        person: What addresses the known person, or None if there is none.

    Raises:
        EventRejected: MISSING_IDENTITY, INVALID_ID, ID_TOO_LONG or TOO_LARGE.
        Filtered: The event is anonymous and the destination wants no such profile.
    """
    event, destination = context.event, context.destination
    anonymous_id = _anonymous_id(context, kind) if person is None else None
    properties = event.properties
    received = bytes(properties)
    if received[:1] != b"{":
        if properties and properties != NULL:
            context.warn(
                WarningCode.WRONG_TYPE, "properties is not an object and was ignored (rule 5.1)"
            )
        received = b""
    data = received or b"{}"
    if destination.changes is not None:
        data = destination.changes.properties(data)
    if len(data) > MAX_DATA_BYTES and compact_size(Raw(data)) > MAX_DATA_BYTES:
        raise EventRejected(
            ErrorCode.TOO_LARGE, f"properties have more than {MAX_DATA_BYTES} bytes (rule 5.7)"
        )
    addressed = person or anonymous_id or ""
    if destination.addressing.user_id_kind is not None:
        # The user id as received: no setting changes the id of an event (rule 5.6).
        addressed = identity.user_id(event, []) or addressed
    return SendEvent(
        person,
        anonymous_id,
        kind,
        name,
        data,
        event_time(context, kind),
        event_id(event, kind, name, addressed, received) if destination.event_ids else None,
    )


def _anonymous_id(context: RuleContext, kind: str) -> str:
    """Return what addresses an anonymous event. Rules 3.4, 13.9."""
    anonymous_id = identity.anonymous_id(context.event, context.warnings)
    if anonymous_id is None:
        raise EventRejected(
            ErrorCode.MISSING_IDENTITY,
            f"a {kind} needs a userId, an email or an anonymousId (rule 3.4)",
        )
    if context.destination.profiles != "everyone" and not identity.is_warehouse_row(context.event):
        raise Filtered(FilterReason.ANONYMOUS)
    return anonymous_id
