"""A batch of events: each one's outcome, and the requests they share. SPEC 1.4, 8.1, 10.3."""

import logging
from typing import Protocol

from .destination import Destination
from .event import Event, decode
from .identity import comparable, identifiers, is_email
from .operations import Operation, UpdateObject
from .request import BatchItem, Request, RequestTemplate
from .result import Error, ErrorCode, ErrorType, Outcome, Refused, Warning, WarningCode, refused
from .rules import alias, group, identify, page, record, screen, track
from .track_v1 import request

MAX_BATCH_BYTES = 500_000
MAX_BATCH_ITEMS = 1000
_ENVELOPE_BYTES = len(b'{"batch":[]}')

_RULES = {
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
_PLAIN = Outcome(200, [])
_INTERNAL = Error(
    ErrorCode.INTERNAL,
    ErrorType.INTERNAL,
    "internal error; the server's log says where",
    500,
    retryable=True,
)


class Sink(Protocol):
    """Where requests go, in the order in which they must be sent for any one person (10.3)."""

    def claim(self, template: RequestTemplate, size: int) -> None:
        """Called before a request, or an item of a shared one, of so many bytes is settled.

        The place to make room. Raises Refused where there can be none.
        """

    def place(self, request: Request, position: int | list[int]) -> None:
        """Takes a complete request and the position, or positions, of the events it covers."""


class RequestList:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.requests: list[tuple[Request, int | list[int]]] = []

    def claim(self, template: RequestTemplate, size: int) -> None:
        """There is always room."""

    def place(self, request: Request, position: int | list[int]) -> None:
        """Keeps it."""
        self.requests.append((request, position))


class _SharedRequest:
    """A request to /api/v2/batch that still takes items."""

    def __init__(self) -> None:
        self.items: list[bytes] = []
        self.positions: list[int] = []
        self.size = _ENVELOPE_BYTES
        self._people: set[str] = set()
        self._objects: set[tuple[str, str]] = set()
        self._someone_without_id = False

    def takes(self, item: BatchItem) -> bool:
        """Whether there is room for one more. SPEC 10.3."""
        return (
            len(self.items) < MAX_BATCH_ITEMS and self.size + 1 + len(item.body) <= MAX_BATCH_BYTES
        )

    def add(self, position: int, item: BatchItem, operation: Operation, event: Event) -> None:
        """Takes an item and everything its person may be known by."""
        self.size += len(item.body) + bool(self.items)
        self.items.append(item.body)
        self.positions.append(position)
        self._people |= identifiers(event) | {comparable(one) for one in operation.people}
        if type(operation) is UpdateObject:
            self._objects.add((operation.object_type_id, operation.object_id))
        if not operation.people or any(map(is_email, operation.people)):
            self._someone_without_id = True

    def concerns(self, operation: Operation, event: Event) -> bool:
        """Whether someone or something in here may be what the operation is about."""
        if type(operation) is UpdateObject and (
            (operation.object_type_id, operation.object_id) in self._objects
        ):
            return True
        # Two different user ids are two people. Only someone without one can be met under an
        # email that the event does not go by, and looking for those takes reading its traits.
        if self._someone_without_id:
            return not self._people.isdisjoint(identifiers(event))
        for one in operation.people:  # noqa: SIM110 - a generator costs more than the rest
            if comparable(one) in self._people:
                return True
        return False


class BatchTransform:
    """Transforms the events of one batch, in order. Pure but for the clock that is handed in."""

    def __init__(self, now: int, sink: Sink) -> None:
        """now: seconds since 1970."""
        self._now = now
        self._sink = sink
        self._shared: dict[Destination, _SharedRequest] = {}

    def add(
        self,
        position: int,
        event_json: bytes,
        destination: Destination,
        *,
        source_type: str = "",
        alone: bool = False,
    ) -> Outcome:
        """What one event comes to. Its request reaches the sink with the next `flush` at the latest.

        source_type: the type of the event's source, "" to go by its channel (11.3).
        alone: whether its request must cover no other event.
        """
        warnings: list[Warning] = []
        try:
            event, repaired = decode(event_json)
            if repaired:
                warnings.append(
                    Warning(WarningCode.LONE_SURROGATE, "half of an emoji became U+FFFD (1.1)")
                )
            if destination.filters is not None:
                reason = destination.filters.reason(event, source_type)
                if reason is not None:
                    return Outcome(298, warnings, filtered=reason)
            operation = interpret(event, destination, warnings, self._now)
            made = request(operation, destination)
            if type(made) is Request:
                self._sink.claim(made.template, len(made.path) + len(made.body))
                if self._shared:
                    self._let_pass(operation, event, destination)
                self._sink.place(made, position)
            elif type(made) is BatchItem:
                self._sink.claim(destination.endpoints.batch, len(made.body) + _ENVELOPE_BYTES)
                self._share(position, made, operation, event, destination, alone=alone)
        except Refused as refusal:
            return refused(refusal, warnings)
        except Exception as fault:  # noqa: BLE001 - one event's fault is not its neighbours' (1.4)
            # The exception's own text may quote the event: only its kind and place are logged.
            _log.error("internal error in an event: %s", _where(fault))
            return Outcome(500, warnings, error=_INTERNAL)
        return Outcome(200, warnings) if warnings else _PLAIN

    def _let_pass(self, operation: Operation, event: Event, destination: Destination) -> None:
        """Closes the shared request in which the operation's person or object waits."""
        shared = self._shared.get(destination)
        if shared is not None and shared.concerns(operation, event):
            self._close(destination)

    def _share(
        self,
        position: int,
        item: BatchItem,
        operation: Operation,
        event: Event,
        destination: Destination,
        *,
        alone: bool,
    ) -> None:
        if alone:
            self._let_pass(operation, event, destination)
            self._sink.place(_shared_request(destination, [item.body]), position)
            return
        shared = self._shared.get(destination)
        if shared is not None and not shared.takes(item):
            self._close(destination)
            shared = None
        if shared is None:
            shared = self._shared[destination] = _SharedRequest()
        shared.add(position, item, operation, event)

    def _close(self, destination: Destination) -> None:
        shared = self._shared.pop(destination)
        positions = shared.positions if len(shared.positions) > 1 else shared.positions[0]
        self._sink.place(_shared_request(destination, shared.items), positions)

    def flush(self) -> None:
        """Completes the shared requests. All events so far are then answered."""
        for destination in list(self._shared):
            self._close(destination)


def _shared_request(destination: Destination, items: list[bytes]) -> Request:
    body = b'{"batch":[' + b",".join(items) + b"]}"
    return Request(destination.endpoints.batch, "/api/v2/batch", body)


def interpret(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> Operation:
    """Event → operation. Raises Refused. SPEC 1.2."""
    kind = event.type
    rule = _RULES.get(kind.lower()) if type(kind) is str else None
    if rule is None:
        raise Refused(
            ErrorCode.UNSUPPORTED_TYPE, f"type must be one of {', '.join(EVENT_TYPES)} (1.2)"
        )
    return rule(event, destination, warnings, now)


def _where(fault: Exception) -> str:
    """The kind of an exception and the line it came from, without its text."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown line"
    return f"{type(fault).__name__} at {line}"
