"""A batch of events: the outcome of each, and the requests they share. Rules 1.4, 8.1, 9.5, 10.3."""

from functools import cache, partial
from typing import Protocol

from .batching import SharedRequest, envelope_bytes, join
from .event import Event
from .operations import Operation
from .ordering import operation_keys
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


_OpenRequests = dict[tuple[BatchTemplate, str], SharedRequest]


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
        # By destination, then by template and path. No person or object has items in two open
        # requests of a destination: an operation closes each open request that has a key of the
        # operation, unless the operation's own item goes into that request.
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
                if self._open and destination in self._open:
                    if destination.closes_requests:
                        self._close_all(destination)
                    else:
                        self._close_overlapping(operation, event, destination)
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
                keys = operation_keys(operation, event, by_phone=destination.by_phone)
                for waiting in list(open_requests.values()):
                    # Two identifies may give two people one email: the first one keeps it (rule 3.3).
                    if waiting.operations.shares_a_key(keys):
                        self._close(destination, waiting)
            self._writer.add(join(item.template, item.path, [item.body]), position)
            return
        key = (item.template, item.path)
        shared = None if open_requests is None else open_requests.get(key)
        if open_requests is not None and len(open_requests) > (shared is not None):
            self._close_overlapping(operation, event, destination, but=shared)
        if shared is not None and not shared.takes(item):
            self._close(destination, shared)
            shared = None
        if shared is None:
            shared = SharedRequest(item.template, item.path, by_phone=destination.by_phone)
            self._open.setdefault(destination, {})[key] = shared
        shared.cover(position, item, operation, event)

    def _close_overlapping(
        self,
        operation: Operation,
        event: Event,
        destination: AnyDestination,
        *,
        but: SharedRequest | None = None,
    ) -> None:
        """Close the open requests, except `but`, that concern a person or object of the operation."""
        # Read once at the most, however many requests are open.
        keys = cache(partial(operation_keys, operation, event, by_phone=destination.by_phone))
        for shared in list(self._open[destination].values()):
            if shared is not but and shared.operations.may_concern(operation, keys):
                self._close(destination, shared)

    def _close(self, destination: AnyDestination, shared: SharedRequest) -> None:
        open_requests = self._open[destination]
        del open_requests[shared.template, shared.path]
        if not open_requests:
            del self._open[destination]
        positions = shared.positions if len(shared.positions) > 1 else shared.positions[0]
        self._writer.add(shared.request(), positions)

    def _close_all(self, destination: AnyDestination) -> None:
        for shared in list(self._open[destination].values()):
            self._close(destination, shared)

    def flush(self) -> None:
        """Complete the shared requests, so that the requests of all events so far are written."""
        for destination in list(self._open):
            self._close_all(destination)
