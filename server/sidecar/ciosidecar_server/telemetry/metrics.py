"""Numbers for Prometheus. The server counts in plain numbers; families are built when they are read."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ..delivery.job import Job
from ..delivery.observer import Attempt, WorkspaceLabel, WorkspaceSnapshot
from ..delivery.outcomes import DeliveryOutcome
from ..delivery.rate_store import RateStoreSnapshot
from ..rpc.message_bytes import MessageBytes
from ..rpc.observer import (
    EventLabels,
    StreamCounts,
    StreamInfo,
    StreamSnapshot,
    WarningLabels,
)
from .histogram import LONG_S, SHORT_S, Histogram
from .logging import line_counts
from .metric_families import (
    counter,
    families_of_rate_store,
    families_of_state,
    gauge,
    histogram,
    info,
)
from .observer import Observer
from .reconnects import Reconnects
from .workspace_sums import Sums, WorkspaceReader

ENDPOINT_PATHS = frozenset(
    {
        "v1/customers",
        "v1/customers/devices",
        "v1/customers/devices/delete",
        "v1/customers/events",
        "v1/customers/suppress",
        "v1/customers/unsuppress",
        "v1/events",
        "v1/merge_customers",
        "v1/metrics",
        "v1/segments",
        "v2/batch",
    }
)
"""The endpoint paths that metrics tell apart: a caller names those of prepared requests as it likes."""
_THROTTLED = 429
_REASONS = {
    "finished": "finished",
    "closed without Finish": "half_closed",
    "the peer is gone": "peer_gone",
    "the server is shutting down": "draining",
    "cancelled": "cancelled",
    "internal error": "internal_error",
}
_PROTOCOL_ERROR = "protocol_error"
_BROKEN = ("peer_gone", "draining", "cancelled", "half_closed", "internal_error")


class Snapshot(NamedTuple):
    """The state of the server."""

    workspaces: Iterable[WorkspaceSnapshot]
    """To be iterated over once. There may be 100,000."""
    streams: list[StreamSnapshot]
    rate_store: RateStoreSnapshot | None = None
    """None without a rate store."""
    certificate_not_after_s: float | None = None
    """Time at which the server's certificate expires, in seconds since 1970. None without TLS."""


class Metrics(Observer, Collector):
    """A listener that counts, and the registry that Prometheus reads."""

    def __init__(
        self,
        workspaces: WorkspaceReader,
        streams: Callable[[], Iterable[StreamSnapshot]],
        rate_store: Callable[[], RateStoreSnapshot | None] = lambda: None,
        certificate_not_after_s: Callable[[], float | None] = lambda: None,
        message_bytes: MessageBytes | None = None,
    ) -> None:
        """Begin with zeros.

        Args:
            workspaces: adds up the workspaces, and names the destinations.
            streams: returns the open streams. Called for each reading.
            rate_store: returns the state of the rate store, if there is one. Called for each reading.
            certificate_not_after_s: returns when the server's certificate expires, if there is one. Called for each reading.
            message_bytes: the bytes of messages, counted by the server.
        """
        self._workspaces = workspaces
        self._streams = streams
        self._rate_store = rate_store
        self._certificate_not_after_s = certificate_not_after_s
        self._names = workspaces.names
        self._sums: Sums = {}
        self._tasks = 0
        self._one_encoding = asyncio.Lock()
        self._reconnects = Reconnects()
        self._events: Counter[tuple[str, ...]] = Counter()
        self._destination_events: Counter[tuple[str, ...]] = Counter()
        self._warnings: Counter[tuple[str, ...]] = Counter()
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._throttles: Counter[tuple[str, ...]] = Counter()
        self._calls: Counter[tuple[str, ...]] = Counter()
        self._closed: Counter[tuple[str, ...]] = Counter()
        self._opened = 0
        self._reconnected = 0
        self._message_bytes = message_bytes or MessageBytes()
        self._faults = 0
        self._transform = Histogram(SHORT_S)
        self._queue = Histogram(LONG_S)
        self._request: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(LONG_S))
        self.loop_lag = Histogram(SHORT_S)
        """The delays of the event loop."""
        self.registry = CollectorRegistry()
        """All metrics of one server."""
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    async def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics, and their content type. accept: the header of the request."""
        sums = await self._workspaces.read()
        encode, content_type = choose_encoder(accept)
        # Of several readings at once, each has a turn of the event loop for itself.
        async with self._one_encoding:
            self._sums, self._tasks = sums, len(asyncio.all_tasks())
            return encode(self.registry), content_type

    def stream_opened(self, stream: StreamInfo) -> None:
        """Count a stream."""
        self._opened += 1
        self._reconnected += self._reconnects.opened(stream)

    def stream_closed(self, stream: StreamInfo, counts: StreamCounts, reason: str) -> None:
        """Count why a stream closed."""
        del counts  # each batch was counted
        label = _REASONS.get(reason, _PROTOCOL_ERROR)
        self._closed[(label,)] += 1
        if label in _BROKEN:
            self._reconnects.broke(stream)

    def batch_received(self, transform_s: float) -> None:
        """Count the time that a batch took."""
        self._transform.observe(transform_s)

    def events_answered(
        self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]
    ) -> None:
        """Count events and warnings."""
        for labels, number in events.items():
            destination_ref, event_type, api_version, outcome, code = labels
            self._events[event_type, api_version, outcome, code] += number
            self._destination_events[self._names.label(destination_ref), outcome, code] += number
        for warning, number in warnings.items():
            self._warnings[(warning.code,)] += number

    def call_ended(self, method: str, code: str, duration_s: float) -> None:
        """Count a unary call."""
        del duration_s  # a call is as long as its batch takes
        self._calls[method, code] += 1

    def internal_fault(self, fault: BaseException, log_id: str = "") -> None:
        """Count a defect."""
        del fault, log_id  # the log has them
        self._faults += 1

    def attempt_ended(self, workspace: WorkspaceLabel, attempt: Attempt) -> None:
        """Count a request to Customer.io."""
        path = attempt.endpoint_path if attempt.endpoint_path in ENDPOINT_PATHS else "other"
        self._requests[path, _status(attempt.http_status)] += 1
        self._request[path].observe(attempt.duration_s)
        if attempt.http_status == _THROTTLED:
            self._throttles[(self._names.label(workspace.destination_ref),)] += 1

    def jobs_settled(
        self,
        workspace: WorkspaceLabel,
        jobs: Sequence[Job],
        outcome: DeliveryOutcome,
        queue_s: float,
    ) -> None:
        """Count the time that events waited."""
        del workspace, outcome  # events_answered counts them
        self._queue.observe(queue_s, len(jobs))

    def collect(self) -> Iterable[Metric]:
        """Yield all families."""
        yield info()
        yield counter("events", self._events)
        yield counter("destination_events", self._destination_events)
        yield counter("warnings", self._warnings)
        yield counter("requests", self._requests)
        yield counter("throttles", self._throttles)
        yield counter("calls", self._calls)
        yield counter("streams_opened", {(): self._opened})
        yield counter("streams_closed", self._closed)
        yield counter("stream_reconnects", {(): self._reconnected})
        yield counter("received_bytes", {(): self._message_bytes.received})
        yield counter("sent_bytes", {(): self._message_bytes.sent})
        yield counter("internal_errors", {(): self._faults})
        lines = line_counts()
        yield counter("log_lines_dropped", {(): lines.dropped})
        yield gauge("log_lines_waiting", {(): lines.waiting})
        yield histogram("batch_transform_seconds", {(): self._transform})
        yield histogram("queue_seconds", {(): self._queue})
        yield histogram("request_seconds", {(path,): h for path, h in self._request.items()})
        yield histogram("event_loop_lag_seconds", {(): self.loop_lag})
        yield gauge("event_loop_tasks", {(): self._tasks})
        not_after_s = self._certificate_not_after_s()
        yield gauge(
            "certificate_not_after_seconds", {} if not_after_s is None else {(): not_after_s}
        )
        yield from families_of_state(self._sums, self._streams())
        yield from families_of_rate_store(self._rate_store())


def _status(http_status: int) -> str:
    return str(http_status) if 100 <= http_status <= 999 else "none"
