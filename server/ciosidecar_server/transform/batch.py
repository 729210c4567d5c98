"""A batch of events: each one's outcome, and the requests they share. SPEC 1.4, 8.1, 10.3."""

from typing import Protocol

from .destination import Destination
from .event import Event
from .event_to_call import internal_error, transform_event
from .operations import Operation
from .packing import ENVELOPE_BYTES, SharedRequest, shared_request
from .request import BatchItem, Request, RequestTemplate
from .result import Outcome, Refused, refused


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


class BatchTransform:
    """Transforms the events of one batch, in order. Pure but for the clock that is handed in."""

    def __init__(self, now: int, sink: Sink) -> None:
        """now: seconds since 1970."""
        self._now = now
        self._sink = sink
        self._shared: dict[Destination, SharedRequest] = {}

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
        outcome, call, operation, event = transform_event(
            event_json, destination, source_type=source_type, now=self._now
        )
        if operation is None or event is None:
            return outcome
        try:
            if type(call) is Request:
                self._sink.claim(call.template, len(call.path) + len(call.body))
                if self._shared:
                    self._let_pass(operation, event, destination)
                self._sink.place(call, position)
            elif type(call) is BatchItem:
                self._sink.claim(destination.endpoints.batch, len(call.body) + ENVELOPE_BYTES)
                self._share(position, call, operation, event, destination, alone=alone)
        except Refused as refusal:
            return refused(refusal, outcome.warnings)
        except Exception as fault:  # noqa: BLE001 - as in transform_event
            return internal_error(fault, outcome.warnings)
        return outcome

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
            self._sink.place(shared_request(destination, [item.body]), position)
            return
        shared = self._shared.get(destination)
        if shared is not None and not shared.takes(item):
            self._close(destination)
            shared = None
        if shared is None:
            shared = self._shared[destination] = SharedRequest()
        shared.add(position, item, operation, event)

    def _close(self, destination: Destination) -> None:
        shared = self._shared.pop(destination)
        positions = shared.positions if len(shared.positions) > 1 else shared.positions[0]
        self._sink.place(shared_request(destination, shared.items), positions)

    def flush(self) -> None:
        """Completes the shared requests. All events so far are then answered."""
        for destination in list(self._shared):
            self._close(destination)
