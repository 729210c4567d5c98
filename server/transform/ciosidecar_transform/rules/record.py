"""record: a warehouse row. Rule 9."""

from msgspec import Raw

from ..event_id import event_id
from ..identifiers import as_cio_id, as_email, nested_id, within_limit
from ..json_text import ABSENT, compact_size, encode, members, text_of, value
from ..limits import within_sizes
from ..operations import Attributes, ChangeSegment, DeletePerson, Identify, SendEvent
from ..outcomes import ErrorCode, EventRejected
from ..settings.connections import Audience, EventRows, Unusable
from .context import RuleContext
from .event_body import MAX_DATA_BYTES
from .event_times import seconds_or_warn, unless_ahead
from .identify import only_updating, settle_ids
from .names import first_name, sent_name
from .reserved_attributes import make_readable, sent_timestamp

_ACTIONS = ("insert", "update", "delete")


def operation(context: RuleContext) -> Identify | DeletePerson | SendEvent | ChangeSegment:
    """Return the operation of a row.

    Raises:
        EventRejected: INVALID_RECORD, MISSING_IDENTITY, ID_TOO_LONG, MISSING_EVENT_NAME or
            TOO_LARGE, or the code of an unusable connection.
    """
    connection, action = context.connection, context.event.action
    if connection is None:
        raise EventRejected(
            ErrorCode.INVALID_RECORD,
            "a record needs a connection, which says what its row is about (rule 9.1)",
        )
    if type(connection) is Unusable:
        raise EventRejected(connection.code, connection.text)
    if action not in _ACTIONS:
        raise EventRejected(
            ErrorCode.INVALID_RECORD, f"action must be one of {', '.join(_ACTIONS)} (rule 9.1)"
        )
    columns = members(context.event.identifiers)
    if type(connection) is Audience:
        return _change_segment(context, columns, connection)
    person_column, person = _person(context, columns)
    if type(connection) is EventRows:
        return _send_event(context, columns, person_column, person)
    if action == "delete":
        return DeletePerson(person)
    return _identify(context, columns, person_column, person)


def _person(context: RuleContext, columns: Attributes) -> tuple[str, str]:
    """Return the column that names the person, and what addresses the person. Rule 9.2."""
    for name in ("cio_id", "id", "email"):
        field = f"identifiers.{name}"
        identifier = nested_id(columns.get(name, ABSENT), field, context.warnings)
        if name == "email":
            identifier = as_email(identifier)
        if identifier is not None:
            within_limit(identifier, field)
            return name, as_cio_id(identifier) if name == "cio_id" else identifier
    raise EventRejected(
        ErrorCode.MISSING_IDENTITY,
        "a record's identifiers need a cio_id, an id or an email (rule 9.2)",
    )


def _identify(
    context: RuleContext, columns: Attributes, person_column: str, person: str
) -> Identify:
    """Return the operation of a row that is a person. Rules 9.3, 9.4."""
    timestamp = _timestamp(context, columns)
    unsent = (person_column, "created_at")
    attributes = {name: raw for name, raw in columns.items() if name not in unsent}
    changes = context.destination.changes
    if changes is not None:
        attributes = changes.attributes(attributes)
    settle_ids(context, attributes, person)
    timestamp_attribute = attributes.pop("_timestamp", ABSENT)
    if timestamp is None and timestamp_attribute and _created_at(context.muted(), columns) is None:
        timestamp = sent_timestamp(context, timestamp_attribute)
    make_readable(context, attributes, {})
    if timestamp is not None:
        attributes["_timestamp"] = Raw(b"%d" % timestamp)
    if context.destination.update_only:
        attributes = only_updating(attributes)
    return Identify(person, within_sizes(attributes, context.warnings), timestamp)


def _send_event(
    context: RuleContext, columns: Attributes, person_column: str, person: str
) -> SendEvent:
    """Return the operation of a row that is an event. Rules 9.3, 9.4."""
    event, destination = context.event, context.destination
    if event.action == "delete":
        raise EventRejected(ErrorCode.INVALID_RECORD, "an event cannot be deleted (rule 9.3)")
    name = sent_name(context, first_name(text_of(columns.get("name", ABSENT))))
    unsent = (person_column, "created_at", "name")
    data = encode({column: raw for column, raw in columns.items() if column not in unsent})
    if destination.changes is not None:
        data = destination.changes.properties(data)
    if len(data) > MAX_DATA_BYTES and compact_size(Raw(data)) > MAX_DATA_BYTES:
        raise EventRejected(
            ErrorCode.TOO_LARGE, f"the row has more than {MAX_DATA_BYTES} bytes (rule 5.7)"
        )
    return SendEvent(
        person,
        None,
        "track",
        name,
        data,
        _timestamp(context, columns),
        event_id(event, "record", name, person, bytes(event.identifiers))
        if destination.event_ids
        else None,
    )


def _timestamp(context: RuleContext, columns: Attributes) -> int | None:
    return unless_ahead(context, _created_at(context, columns), "identifiers.created_at")


def _created_at(context: RuleContext, columns: Attributes) -> int | None:
    raw = columns.get("created_at", ABSENT)
    return seconds_or_warn(context, value(raw), "identifiers.created_at")


def _change_segment(context: RuleContext, columns: Attributes, audience: Audience) -> ChangeSegment:
    """Return the operation of a row that is a member of an audience. Rule 9.5."""
    identifier = None
    if len(columns) == 1:
        (raw,) = columns.values()
        identifier = nested_id(raw, "the identifier", context.warnings)
    if identifier is None:
        raise EventRejected(
            ErrorCode.INVALID_RECORD, "a row of an audience has exactly one identifier (rule 9.5)"
        )
    within_limit(identifier, "the identifier")
    return ChangeSegment(
        audience.segment_id,
        context.event.action == "delete",
        audience.kind,
        identifier,
        as_cio_id(identifier) if audience.kind == "cio_id" else identifier,
    )
