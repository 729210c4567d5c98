"""What the calls and streams report while they work, to an observer that they do not know."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ..delivery.observer import MessageTrace

STALLED_S = 5.0
"""A stream is stalled if its caller has not read a message for so long. Unit: seconds."""


class EventLabels(NamedTuple):
    """What answered events have in common, for counts."""

    destination_ref: str
    """The caller's name of the destination, cut and escaped; "" if it has none or is not declared."""
    event_type: str
    """A type of rule 1.2; "prepared" for a prepared request; "unknown" for any other event."""
    api_version: str
    """v1, v2 or template; "" if the destination cannot be used."""
    outcome: str
    """transformed, delivered, filtered, rejected (permanent), partly_refused or retryable."""
    code: str
    """The error code, or the filter reason; "" if there is none."""


class WarningLabels(NamedTuple):
    """What warnings have in common, for counts."""

    destination_ref: str
    code: str


class Caller(NamedTuple):
    """The call that a batch came in."""

    session_id: str
    """The id of the stream; "" of a unary call."""
    client_name: str
    """The caller's name, cut and escaped; "" of a unary call."""
    delivery: bool
    trace_headers: Mapping[str, str]
    """The W3C trace context in the metadata of the call: traceparent and tracestate."""


class BatchInfo(NamedTuple):
    """A batch, before its first item is looked at."""

    batch_id: int
    items: int
    traceparent: str
    """The W3C trace context of the batch; "" if that of the call holds."""
    caller: Caller


class StreamInfo(NamedTuple):
    """A stream, as its caller opened it. The caller's texts are cut and escaped."""

    session_id: str
    client_name: str
    client_version: str
    peer: str
    """The address of the caller, as gRPC names it."""
    delivery: bool
    destinations: int
    """The number of destinations that OpenStream declared."""
    connections: int
    """The number of connections that OpenStream declared."""
    destination_ref: str = ""
    """The caller's name of the first destination; "" if it has none."""


class StreamCounts(NamedTuple):
    """What a stream has carried so far."""

    batches: int
    items: int
    results: int
    duration_s: float


class StreamSnapshot(NamedTuple):
    """The state of an open stream at one moment."""

    info: StreamInfo
    counts: StreamCounts
    unread_s: float = 0.0
    """How long the oldest message waits for the caller to read; 0 if none waits."""


class RpcObserver(Protocol):
    """A listener to calls and streams. Its methods are called in the event loop and MUST NOT raise or block."""

    @property
    def traces(self) -> bool:
        """Return whether batches are traced: `batch_began` and `batch_ended` are called."""

    def stream_opened(self, stream: StreamInfo) -> None:
        """Note that a stream opened."""

    def stream_closed(self, stream: StreamInfo, counts: StreamCounts, reason: str) -> None:
        """Note that a stream closed. reason: why, in the sidecar's words; "finished" if the caller ended it."""

    def stream_stalled(self, stream: StreamInfo, counts: StreamCounts) -> None:
        """Note that the caller has not read a message for STALLED_S seconds. Reported once, until it reads."""

    def stream_read(self, stream: StreamInfo, unread_s: float) -> None:
        """Note that the caller of a stalled stream reads again. unread_s: how long it did not."""

    def batch_began(self, batch: BatchInfo, trace: MessageTrace) -> None:
        """Note that a batch has arrived. An observer that traces it sets `trace.span`."""

    def batch_ended(self, trace: MessageTrace) -> None:
        """Note that a batch is answered, or given up. May be called twice."""

    def batch_received(self, transform_s: float) -> None:
        """Note that the items of a batch were transformed.

        Args:
            transform_s: the time that the server worked on them, without the turns of other callers.
        """

    def events_answered(
        self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]
    ) -> None:
        """Count events that have their outcome, and their warnings. Of a part of a batch, or of many batches."""

    def call_ended(self, method: str, code: str, duration_s: float) -> None:
        """Note that a unary call ended. code: gRPC's name of its status."""

    def internal_fault(self, fault: BaseException, log_id: str = "") -> None:
        """Note a defect of the sidecar. The text of the exception may be personal data.

        Args:
            fault: the exception.
            log_id: the id that the caller was told; "" if none.
        """


class NoRpcObserver:
    """An observer that ignores every report."""

    traces = False

    def stream_opened(self, stream: StreamInfo) -> None:
        """Ignore the report."""

    def stream_closed(self, stream: StreamInfo, counts: StreamCounts, reason: str) -> None:
        """Ignore the report."""

    def stream_stalled(self, stream: StreamInfo, counts: StreamCounts) -> None:
        """Ignore the report."""

    def stream_read(self, stream: StreamInfo, unread_s: float) -> None:
        """Ignore the report."""

    def batch_began(self, batch: BatchInfo, trace: MessageTrace) -> None:
        """Ignore the report."""

    def batch_ended(self, trace: MessageTrace) -> None:
        """Ignore the report."""

    def batch_received(self, transform_s: float) -> None:
        """Ignore the report."""

    def events_answered(
        self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]
    ) -> None:
        """Ignore the report."""

    def call_ended(self, method: str, code: str, duration_s: float) -> None:
        """Ignore the report."""

    def internal_fault(self, fault: BaseException, log_id: str = "") -> None:
        """Ignore the report."""
