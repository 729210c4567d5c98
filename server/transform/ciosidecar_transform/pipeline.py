"""One event, all the way: bytes, then Event, then Operation, then request. Rule 1."""

import logging
from collections.abc import Callable

from msgspec import Struct

from .event import Event, decode, not_json
from .operations import Operation
from .outcomes import (
    INTERNAL,
    ErrorCode,
    EventRejected,
    Filtered,
    FilterReason,
    Outcome,
    Warning,
    WarningCode,
    rejected,
)
from .requests import Request, SharedItem
from .rules import alias, group, identify, page, record, screen, track
from .rules.context import RuleContext
from .settings.connections import Connection
from .settings.dynamic import AnyDestination, DynamicDestination

_RULES: dict[str, Callable[[RuleContext], Operation]] = {
    "identify": identify.operation,
    "track": track.operation,
    "page": page.operation,
    "screen": screen.operation,
    "alias": alias.operation,
    "group": group.operation,
    "record": record.operation,
}
EVENT_TYPES = tuple(_RULES)

_log = logging.getLogger(__name__)
WITHOUT_WARNINGS = {kind: Outcome(200, [], event_type=kind) for kind in EVENT_TYPES}
"""The outcome of every event that became a request without warnings, by type. It MUST NOT be changed."""


class Transformed(Struct, frozen=True, gc=False):
    """An event's outcome. The other fields are None unless the event became a request."""

    outcome: Outcome
    request: Request | SharedItem | None = None
    operation: Operation | None = None
    event: Event | None = None


def transform_event(
    event_json: bytes,
    destination: AnyDestination,
    *,
    source_type: str,
    now: int,
    connection: Connection | None = None,
) -> Transformed:
    """Transform one event. Never raises: an event's fault must not stop other events. Rule 1.4.

    Args:
        event_json: One JSON object in UTF-8.
        destination: Where the event goes.
        source_type: The type of the event's source, "" to go by its channel (rule 11.3).
        now: The caller's clock. Unit: seconds since 1970.
        connection: What the row of a record is about, or None if the caller names no connection
            (rule 9.1).
    """
    warnings: list[Warning] = []
    event = None
    try:
        event, repaired = decode(event_json)
        if repaired:
            warnings.append(
                Warning(
                    WarningCode.LONE_SURROGATE, "an unpaired surrogate became U+FFFD (rule 1.1)"
                )
            )
        if isinstance(destination, DynamicDestination):
            destination, remaining = destination.for_event(event_json)
            event = remaining or event
        if destination.filters is not None:
            reason = destination.filters.reason(event, source_type)
            if reason is not None:
                return Transformed(_filtered(reason, warnings, event))
        kind = event.type
        # The usual spelling, a call early; `interpret` reads any other.
        rule = (_RULES.get(kind) if type(kind) is str else None) or interpret
        operation = rule(RuleContext(event, destination, warnings, now, connection))
        write = destination.writers[type(operation)]
        request = write(operation, destination.endpoints, warnings)
    except EventRejected as rejection:
        return Transformed(rejected(rejection, warnings, event_type(event)))
    except Filtered as filtered:
        return Transformed(_filtered(filtered.reason, warnings, event))
    except Exception as fault:  # noqa: BLE001
        return Transformed(internal_error(fault, warnings, event_type(event)))
    outcome = WITHOUT_WARNINGS.get(event.type)
    if outcome is None or warnings:
        outcome = Outcome(200, warnings, event_type=event_type(event))
    return Transformed(outcome, request, operation, event)


def event_type(event: Event | None) -> str:
    """Return the type of an event, "" if it is not one of EVENT_TYPES."""
    kind = None if event is None else event.type
    if type(kind) is not str:
        return ""
    kind = kind.lower()
    return kind if kind in _RULES else ""


def _filtered(reason: FilterReason, warnings: list[Warning], event: Event | None) -> Outcome:
    return Outcome(298, warnings, filtered=reason, event_type=event_type(event))


def interpret(context: RuleContext) -> Operation:
    """Return the operation of an event, by the rule of its type. Rule 1.2.

    Raises:
        EventRejected: UNSUPPORTED_TYPE, or as the rule of the type says.
        Filtered: As the rule of the type says.
    """
    kind = context.event.type
    rule = _RULES.get(kind.lower()) if type(kind) is str else None
    if rule is None:
        raise EventRejected(
            ErrorCode.UNSUPPORTED_TYPE, f"type must be one of {', '.join(EVENT_TYPES)} (rule 1.2)"
        )
    return rule(context)


def internal_error(fault: Exception, warnings: list[Warning], event_type: str = "") -> Outcome:
    """Return the outcome of an event that met a fault of the transform, and log the fault's place.

    The text of an exception may quote the event: only its kind and place are logged. A
    RecursionError is the event's fault: its nesting can be too deep for a rule although it is not
    too deep for `decode`.
    """
    if isinstance(fault, RecursionError):
        return rejected(not_json(), warnings, event_type)
    _log.error("internal error in an event: %s", _kind_and_place(fault))
    return Outcome(500, warnings, error=INTERNAL, event_type=event_type)


def _kind_and_place(fault: Exception) -> str:
    """Return the kind of an exception and the line that raised it, without its text."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown line"
    return f"{type(fault).__name__} at {line}"
