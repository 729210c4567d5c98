"""record: a warehouse row. Rule 9."""

from msgspec import Raw

from .. import identity
from ..event import Event
from ..event_id import event_id
from ..json_text import ABSENT, compact_size, encode, members, text_of, value
from ..limits import within_sizes
from ..names import first_name, sent_name
from ..operations import Attributes, ChangeSegment, DeletePerson, Identify, SendEvent
from ..outcomes import ErrorCode, EventRejected, Warning
from ..reserved_attributes import make_readable, own_timestamp
from ..settings.connections import Audience, Connection, EventRows, Unusable
from ..settings.destination import Destination
from ..times import seconds_or_warn, unless_ahead
from .event_body import MAX_DATA_BYTES
from .identify import only_updating, settle_ids

_ACTIONS = ("insert", "update", "delete")


def operation(
    event: Event,
    destination: Destination,
    connection: Connection | None,
    warnings: list[Warning],
    now: int,
) -> Identify | DeletePerson | SendEvent | ChangeSegment:
    """Return what a row tells Customer.io.

    connection: what the row is about, None if nobody said. now: seconds since 1970.
    """
    if connection is None:
        raise EventRejected(
            ErrorCode.INVALID_RECORD,
            "a record needs a connection, which says what its row is about (9.1)",
        )
    if type(connection) is Unusable:
        raise EventRejected(connection.code, connection.text)
    if event.action not in _ACTIONS:
        raise EventRejected(
            ErrorCode.INVALID_RECORD, f"action must be one of {', '.join(_ACTIONS)} (9.1)"
        )
    columns = members(event.identifiers)
    if type(connection) is Audience:
        return _change_segment(event, columns, connection, warnings)
    named, person = _person(columns, warnings)
    if type(connection) is EventRows:
        return _send_event(event, columns, named, person, destination, warnings, now)
    if event.action == "delete":
        return DeletePerson(person)
    return _identify(columns, named, person, destination, warnings, now)


def _person(columns: Attributes, warnings: list[Warning]) -> tuple[str, str]:
    """Return the column that names the person, and what addresses them. Rule 9.2."""
    for name in ("cio_id", "id", "email"):
        raw = columns.get(name, ABSENT)
        found = identity.nested_id(raw, f"identifiers.{name}", warnings)
        if name == "email":
            found = identity.as_email(found)
        if found is not None:
            identity.within_limit(found, f"identifiers.{name}")
            return name, identity.as_cio_id(found) if name == "cio_id" else found
    raise EventRejected(
        ErrorCode.MISSING_IDENTITY, "a record's identifiers need a cio_id, an id or an email (9.2)"
    )


def _identify(
    columns: Attributes,
    named: str,
    person: str,
    destination: Destination,
    warnings: list[Warning],
    now: int,
) -> Identify:
    """9.3, 9.4"""
    timestamp = _timestamp(columns, warnings, now)
    attributes = {name: raw for name, raw in columns.items() if name not in (named, "created_at")}
    if destination.changes is not None:
        attributes = destination.changes.attributes(attributes)
    settle_ids(attributes, person, warnings)
    written = attributes.pop("_timestamp", ABSENT)
    if timestamp is None and written and _created_at(columns, []) is None:
        timestamp = own_timestamp(written, now, warnings)
    make_readable(attributes, {}, warnings)
    if timestamp is not None:
        attributes["_timestamp"] = Raw(b"%d" % timestamp)
    if destination.update_only:
        attributes = only_updating(attributes)
    return Identify(person, within_sizes(attributes, warnings), timestamp)


def _send_event(
    event: Event,
    columns: Attributes,
    named: str,
    person: str,
    destination: Destination,
    warnings: list[Warning],
    now: int,
) -> SendEvent:
    """9.3, 9.4"""
    if event.action == "delete":
        raise EventRejected(ErrorCode.INVALID_RECORD, "an event cannot be deleted (9.3)")
    name = sent_name(first_name(text_of(columns.get("name", ABSENT))), warnings)
    data = encode(
        {
            column: raw
            for column, raw in columns.items()
            if column not in (named, "created_at", "name")
        }
    )
    if destination.changes is not None:
        data = destination.changes.properties(data)
    if len(data) > MAX_DATA_BYTES and compact_size(Raw(data)) > MAX_DATA_BYTES:
        raise EventRejected(
            ErrorCode.TOO_LARGE, f"the row has more than {MAX_DATA_BYTES} bytes (5.7)"
        )
    return SendEvent(
        person,
        None,
        "track",
        name,
        data,
        _timestamp(columns, warnings, now),
        event_id(event, "record", name, person, bytes(event.identifiers))
        if destination.event_ids
        else None,
    )


def _timestamp(columns: Attributes, warnings: list[Warning], now: int) -> int | None:
    return unless_ahead(_created_at(columns, warnings), "identifiers.created_at", warnings, now)


def _created_at(columns: Attributes, warnings: list[Warning]) -> int | None:
    raw = columns.get("created_at", ABSENT)
    return seconds_or_warn(value(raw), "identifiers.created_at", warnings)


def _change_segment(
    event: Event, columns: Attributes, audience: Audience, warnings: list[Warning]
) -> ChangeSegment:
    """9.5"""
    identifier = None
    if len(columns) == 1:
        (raw,) = columns.values()
        identifier = identity.nested_id(raw, "the identifier", warnings)
    if identifier is None:
        raise EventRejected(
            ErrorCode.INVALID_RECORD, "a row of an audience has exactly one identifier (9.5)"
        )
    identity.within_limit(identifier, "the identifier")
    return ChangeSegment(
        audience.segment_id,
        event.action == "delete",
        audience.kind,
        identifier,
        identity.as_cio_id(identifier) if audience.kind == "cio_id" else identifier,
    )
