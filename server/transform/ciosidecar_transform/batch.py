"""A batch of events: each one's outcome, and the requests they share. SPEC 1.4, 8.1, 9.5, 10.3."""

from typing import Protocol

from .batching import SharedRequest, envelope_bytes, join
from .event import Event
from .operations import Operation
from .outcomes import EventRejected, Outcome, rejected
from .pipeline import internal_error, transform_event
from .requests import BatchItem, BatchTemplate, Request, RequestTemplate
from .settings.connections import Connection
from .settings.dynamic import AnyDestination


class RequestWriter(Protocol):
    """Where requests go, in the order in which they must be sent for any one person (10.3)."""

    def reserve(self, template: RequestTemplate, size: int) -> None:
        """Called before a request, or an item of a shared one, of so many bytes is settled.

        The place to make room. Raises EventRejected where there can be none.
        """

    def add(self, request: Request, position: int | list[int]) -> None:
        """Takes a complete request and the position, or positions, of the events it covers."""


class RequestList:
    """A writer that keeps everything."""

    def __init__(self) -> None:
        self.requests: list[tuple[Request, int | list[int]]] = []

    def reserve(self, template: RequestTemplate, size: int) -> None:
        """There is always room."""

    def add(self, request: Request, position: int | list[int]) -> None:
        """Keeps it."""
        self.requests.append((request, position))


_OpenRequests = dict[tuple[BatchTemplate, str], SharedRequest]


class BatchTransform:
    """Transforms the events of one batch, in order. Pure but for the clock that is handed in."""

    def __init__(self, now: int, writer: RequestWriter) -> None:
        """now: seconds since 1970."""
        self._now = now
        self._writer = writer
        # By destination, then by what may be shared. Nobody waits in two requests of a destination:
        # whatever concerns somebody who waits in one closes it, or goes into the same.
        self._open: dict[AnyDestination, _OpenRequests] = {}

    def add(
        self,
        position: int,
        event_json: bytes,
        destination: AnyDestination,
        *,
        source_type: str = "",
        alone: bool = False,
        connection: Connection | None = None,
    ) -> Outcome:
        """What one event comes to. Its request reaches the writer with the next `flush` at the latest.

        source_type: the type of the event's source, "" to go by its channel (11.3).
        alone: whether its request must cover no other event.
        connection: what a record's row is about, if anybody said (9.1).
        """
        done = transform_event(
            event_json,
            destination,
            source_type=source_type,
            now=self._now,
            connection=connection,
        )
        outcome, request, operation, event = done.outcome, done.request, done.operation, done.event
        if operation is None or event is None:
            return outcome
        try:
            if type(request) is Request:
                self._writer.reserve(request.template, len(request.path) + len(request.body))
                if self._open and destination in self._open:
                    if destination.closes_requests:
                        self._close_all(destination)
                    else:
                        self._let_pass(operation, event, destination)
                self._writer.add(request, position)
            elif type(request) is BatchItem:
                self._writer.reserve(
                    request.template,
                    len(request.path) + len(request.body) + envelope_bytes(request.template),
                )
                self._share(position, request, operation, event, destination, alone=alone)
        except EventRejected as refusal:
            return rejected(refusal, outcome.warnings)
        except Exception as fault:  # noqa: BLE001 - as in transform_event
            return internal_error(fault, outcome.warnings)
        return outcome

    def _share(
        self,
        position: int,
        item: BatchItem,
        operation: Operation,
        event: Event,
        destination: AnyDestination,
        *,
        alone: bool,
    ) -> None:
        found = self._open.get(destination)
        if alone:
            for waiting in list(found.values()) if found is not None else ():
                # Two identifies may give two people one email: the first of them keeps it (3.3).
                if waiting.concerned.shares_a_key(operation, event):
                    self._close(destination, waiting)
            self._writer.add(join(item.template, item.path, [item.body]), position)
            return
        key = (item.template, item.path)
        shared = None if found is None else found.get(key)
        if found is not None and len(found) > (shared is not None):
            self._let_pass(operation, event, destination, but=shared)
        if shared is not None and not shared.takes(item):
            self._close(destination, shared)
            shared = None
        if shared is None:
            shared = SharedRequest(item.template, item.path, by_phone=destination.by_phone)
            self._open.setdefault(destination, {})[key] = shared
        shared.cover(position, item, operation, event)

    def _let_pass(
        self,
        operation: Operation,
        event: Event,
        destination: AnyDestination,
        *,
        but: SharedRequest | None = None,
    ) -> None:
        """Closes the shared requests, all but one, in which the operation's person or object waits."""
        for shared in list(self._open[destination].values()):
            if shared is not but and shared.concerned.includes(operation, event):
                self._close(destination, shared)

    def _close(self, destination: AnyDestination, shared: SharedRequest) -> None:
        found = self._open[destination]
        del found[shared.template, shared.path]
        if not found:
            del self._open[destination]
        positions = shared.positions if len(shared.positions) > 1 else shared.positions[0]
        self._writer.add(shared.request(), positions)

    def _close_all(self, destination: AnyDestination) -> None:
        for shared in list(self._open[destination].values()):
            self._close(destination, shared)

    def flush(self) -> None:
        """Completes the shared requests. All events so far are then answered."""
        for destination in list(self._open):
            self._close_all(destination)
