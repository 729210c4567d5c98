"""A batch of events: the outcome of each, and the requests they share. Rules 1.4, 8.1, 9.5, 10.3."""

from collections.abc import Iterable
from typing import Protocol

from .batching import SharedRequest, envelope_bytes, join
from .event import Event
from .operation_index import OperationIndex
from .operations import Operation
from .outcomes import EventRejected, Outcome, rejected
from .pipeline import internal_error, transform_event
from .requests import BatchTemplate, Request, RequestTemplate, SharedItem
from .settings.connections import Connection
from .settings.dynamic import AnyDestination


class RequestWriter(Protocol):
    """A receiver of requests, in the order in which one person's must be sent (rule 10.3)."""

    def reserve(self, template: RequestTemplate, size: int) -> None:
        """Make room for a request, or for an item of a shared request.

        Args:
            template: The template of the request.
            size: Its path and body, with the envelope of a shared request. Unit: bytes.

        Raises:
            EventRejected: There can be no room for so many bytes.
        """

    def add(self, request: Request, position: int | list[int]) -> None:
        """Take a complete request and the position, or positions, of the events it covers."""


class RequestList:
    """A writer that keeps all requests in a list."""

    def __init__(self) -> None:
        self.requests: list[tuple[Request, int | list[int]]] = []

    def reserve(self, template: RequestTemplate, size: int) -> None:
        """Do nothing: the list has no limit."""

    def add(self, request: Request, position: int | list[int]) -> None:
        """Append the request."""
        self.requests.append((request, position))


class _OpenRequests:
    """The open requests of a destination.

    No person or object has items in two of them: an operation closes each open request that has a key of
    the operation, unless the operation's own item goes into that request.
    """

    def __init__(self, *, by_phone: bool) -> None:
        """Begin without requests. by_phone: whether phone numbers address people (rule 13.4)."""
        self.requests: dict[tuple[BatchTemplate, str], SharedRequest] = {}
        self.operations: OperationIndex[SharedRequest] = OperationIndex(by_phone=by_phone)
        self.opened = 0


class BatchTransform:
    """A transform of the events of one batch, in order. Pure: the caller's clock is handed in."""

    def __init__(self, now: int, writer: RequestWriter) -> None:
        """Start a batch.

        Args:
            now: The current time. Unit: seconds since 1970.
            writer: The receiver of the requests.
        """
        self._now = now
        self._writer = writer
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
        """Transform one event. Its request reaches the writer by the next `flush` at the latest.

        Args:
            position: The position of the event in the batch.
            event_json: One JSON object in UTF-8.
            destination: Where the event goes.
            source_type: The type of the event's source, "" to go by its channel (rule 11.3).
            alone: Whether the event's request must cover no other event.
            connection: What the row of a record is about, or None if the caller names no
                connection (rule 9.1).
        """
        transformed = transform_event(
            event_json,
            destination,
            source_type=source_type,
            now=self._now,
            connection=connection,
        )
        outcome, request = transformed.outcome, transformed.request
        operation, event = transformed.operation, transformed.event
        if operation is None or event is None:
            return outcome
        try:
            if type(request) is Request:
                self._writer.reserve(request.template, len(request.path) + len(request.body))
                if self._open and (open_requests := self._open.get(destination)) is not None:
                    if destination.closes_requests:
                        self._close_all(destination)
                    else:
                        overlapping = open_requests.operations.concerning(operation, event)
                        self._close(destination, overlapping)
                self._writer.add(request, position)
            elif type(request) is SharedItem:
                self._writer.reserve(
                    request.template,
                    len(request.path) + len(request.body) + envelope_bytes(request.template),
                )
                self._share(position, request, operation, event, destination, alone=alone)
        except EventRejected as rejection:
            return rejected(rejection, outcome.warnings, outcome.event_type)
        except Exception as fault:  # noqa: BLE001 - as in transform_event
            return internal_error(fault, outcome.warnings, outcome.event_type)
        return outcome

    def _share(
        self,
        position: int,
        item: SharedItem,
        operation: Operation,
        event: Event,
        destination: AnyDestination,
        *,
        alone: bool,
    ) -> None:
        open_requests = self._open.get(destination)
        if alone:
            if open_requests is not None:
                # Two identifies may give two people one email: the first one keeps it (rule 3.3).
                self._close(destination, open_requests.operations.sharing_a_key(operation, event))
            self._writer.add(join(item.template, item.path, [item.body]), position)
            return
        key = (item.template, item.path)
        shared = None if open_requests is None else open_requests.requests.get(key)
        if open_requests is not None and len(open_requests.requests) > (shared is not None):
            overlapping = open_requests.operations.concerning(operation, event)
            if overlapping:
                self._close(destination, [other for other in overlapping if other is not shared])
        if shared is not None and not shared.takes(item):
            self._close(destination, (shared,))
            shared = None
        if shared is None or open_requests is None:
            shared, open_requests = self._new_request(destination, item)
        shared.add(item)
        shared.positions.append(position)
        open_requests.operations.add(shared, operation, event)

    def _new_request(
        self, destination: AnyDestination, item: SharedItem
    ) -> tuple[SharedRequest, _OpenRequests]:
        """Open a request for an item."""
        open_requests = self._open.get(destination)
        if open_requests is None:
            open_requests = self._open[destination] = _OpenRequests(by_phone=destination.by_phone)
        open_requests.opened += 1
        shared = SharedRequest(item.template, item.path, open_requests.opened)
        open_requests.requests[item.template, item.path] = shared
        return shared, open_requests

    def _close(self, destination: AnyDestination, closing: Iterable[SharedRequest]) -> None:
        """Write open requests, in this order.

        A request that the writer fails to take stays open: its events are not answered for without it.
        """
        open_requests = self._open[destination]
        for shared in closing:
            positions = shared.positions if len(shared.positions) > 1 else shared.positions[0]
            self._writer.add(shared.request(), positions)
            open_requests.operations.close(shared)
            del open_requests.requests[shared.template, shared.path]
        if not open_requests.requests:
            del self._open[destination]

    def _close_all(self, destination: AnyDestination) -> None:
        self._close(destination, list(self._open[destination].requests.values()))

    def flush(self) -> None:
        """Complete the shared requests, so that the requests of all events so far are written."""
        for destination in list(self._open):
            self._close_all(destination)
