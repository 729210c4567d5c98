"""One event, all the way: bytes → Event → Operation → the call it becomes. Rule 1."""

import logging

from msgspec import Struct

from .event import Event, decode, not_json
from .operations import Operation
from .outcomes import (
    Error,
    ErrorCode,
    ErrorType,
    EventRejected,
    Filtered,
    Outcome,
    Warning,
    WarningCode,
    rejected,
)
from .requests import BatchItem, Request
from .rules import alias, group, identify, page, record, screen, track
from .settings.connections import Connection
from .settings.destination import Destination
from .settings.dynamic import AnyDestination, DynamicDestination

_RULES = {
    "identify": identify.operation,
    "track": track.operation,
    "page": page.operation,
    "screen": screen.operation,
    "alias": alias.operation,
    "group": group.operation,
}
EVENT_TYPES = (*_RULES, "record")

_log = logging.getLogger(__name__)
_PLAIN = Outcome(200, [])
_INTERNAL = Error(
    ErrorCode.INTERNAL,
    ErrorType.INTERNAL,
    "internal error; the server's log says where",
    500,
    retryable=True,
)


class Transformed(Struct, frozen=True, gc=False):
    """What one event came to. The last three are None unless it became a call."""

    outcome: Outcome
    request: Request | BatchItem | None = None
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
    """What an event comes to. Never raises: one event's fault is not its neighbours'. SPEC 1.4.

    source_type: the type of the event's source, "" to go by its channel (11.3).
    now: seconds since 1970. connection: what a record's row is about, if anybody said (9.1).
    """
    warnings: list[Warning] = []
    try:
        event, repaired = decode(event_json)
        if repaired:
            warnings.append(
                Warning(WarningCode.LONE_SURROGATE, "half of an emoji became U+FFFD (1.1)")
            )
        if isinstance(destination, DynamicDestination):
            destination, left = destination.for_event(event_json)
            event = left or event
        if destination.filters is not None:
            reason = destination.filters.reason(event, source_type)
            if reason is not None:
                return Transformed(Outcome(298, warnings, filtered=reason))
        operation = interpret(event, destination, connection, warnings, now)
        write = destination.writers[type(operation)]
        request = write(operation, destination.endpoints, warnings)
    except EventRejected as refusal:
        return Transformed(rejected(refusal, warnings))
    except Filtered as unwanted:
        return Transformed(Outcome(298, warnings, filtered=unwanted.reason))
    except Exception as fault:  # noqa: BLE001
        return Transformed(internal_error(fault, warnings))
    return Transformed(Outcome(200, warnings) if warnings else _PLAIN, request, operation, event)


def interpret(
    event: Event,
    destination: Destination,
    connection: Connection | None,
    warnings: list[Warning],
    now: int,
) -> Operation:
    """Event → operation. Raises EventRejected. SPEC 1.2."""
    kind = event.type
    rule = _RULES.get(kind.lower()) if type(kind) is str else None
    if rule is None:
        if type(kind) is str and kind.lower() == "record":
            return record.operation(event, destination, connection, warnings, now)
        raise EventRejected(
            ErrorCode.UNSUPPORTED_TYPE, f"type must be one of {', '.join(EVENT_TYPES)} (1.2)"
        )
    return rule(event, destination, warnings, now)


def internal_error(fault: Exception, warnings: list[Warning]) -> Outcome:
    """The outcome of an event that met a fault of ours. The log gets the place of the fault.

    The exception's own text may quote the event: only its kind and place are logged. Nesting that
    can be read in one place, and not in another that lies deeper in the stack, is the event's.
    """
    if isinstance(fault, RecursionError):
        return rejected(not_json(), warnings)
    _log.error("internal error in an event: %s", _where(fault))
    return Outcome(500, warnings, error=_INTERNAL)


def _where(fault: Exception) -> str:
    """The kind of an exception and the line it came from, without its text."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown line"
    return f"{type(fault).__name__} at {line}"
