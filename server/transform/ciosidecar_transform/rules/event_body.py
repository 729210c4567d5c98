"""What track, page and screen have in common. Rules 3.4, 5.1, 5.6, 5.7, 13.9."""

from typing import Literal

from msgspec import Raw

from .. import identity
from ..event import Event
from ..event_id import event_id
from ..json_text import NULL, compact_size
from ..operations import SendEvent
from ..outcomes import ErrorCode, EventRejected, Filtered, FilterReason, Warning, WarningCode
from ..settings.destination import Destination
from ..times import event_time

MAX_DATA_BYTES = 100_000


def is_warehouse_row(event: Event) -> bool:
    """Return whether an event comes from a warehouse: rule 13.9 does not judge those."""
    return event.channel == "sources" or identity.mapped_id(event) is not None


def send_event(
    event: Event,
    kind: Literal["track", "page", "screen"],
    name: str,
    person: str | None,
    destination: Destination,
    warnings: list[Warning],
    now: int,
) -> SendEvent:
    """Return the operation, once the name and the known person, if any, are settled.

    Raises EventRejected and Filtered.
    """
    anonymous_id = None
    if person is None:
        anonymous_id = identity.anonymous_id(event, warnings)
        if anonymous_id is None:
            raise EventRejected(
                ErrorCode.MISSING_IDENTITY,
                f"a {kind} needs a userId, an email or an anonymousId (3.4)",
            )
        if destination.profiles != "everyone" and not is_warehouse_row(event):
            raise Filtered(FilterReason.ANONYMOUS)
    properties = event.properties
    data = bytes(properties)
    if data[:1] != b"{":
        if properties and properties != NULL:
            warnings.append(
                Warning(
                    WarningCode.WRONG_TYPE, "properties is not an object and was passed over (5.1)"
                )
            )
        data = b""
    sent = data or b"{}"
    if destination.changes is not None:
        sent = destination.changes.properties(sent)
    if len(sent) > MAX_DATA_BYTES and compact_size(Raw(sent)) > MAX_DATA_BYTES:
        raise EventRejected(
            ErrorCode.TOO_LARGE, f"properties have more than {MAX_DATA_BYTES} bytes (5.7)"
        )
    addressed = person or anonymous_id or ""
    if destination.addressing.user_id_kind is not None:
        # As it was given: no setting changes the id of an event (5.6).
        addressed = identity.user_id(event, []) or addressed
    return SendEvent(
        person,
        anonymous_id,
        kind,
        name,
        sent,
        event_time(event, kind, warnings, now),
        event_id(event, kind, name, addressed, data) if destination.event_ids else None,
    )
