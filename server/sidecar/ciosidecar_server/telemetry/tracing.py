"""Spans for OpenTelemetry: batches, the waiting of their jobs, and requests to Customer.io.

The OpenTelemetry SDK reads its own OTEL_* variables: exporter, sampler, service name, limits of spans.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol
from urllib.parse import urlsplit

from opentelemetry import trace as otel
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..delivery.job import Job
from ..delivery.observer import Attempt, MessageTrace, WorkspaceLabel
from ..rpc.observer import BatchInfo
from .destination_names import operator_name
from .observer import Observer

MAX_LINKS = 128
"""The default limit of links in OpenTelemetry; more would be dropped there."""
# A warning for each malformed trace context: a caller would fill the log with a line an event.
for _name in ("opentelemetry.trace.propagation.tracecontext", "opentelemetry.trace.span"):
    logging.getLogger(_name).setLevel(logging.ERROR)
_PROPAGATOR = TraceContextTextMapPropagator()
_LAST_SPANS_S = 3.0
_SERVICE = "ciosidecar.v1.SidecarService"


class TracerProvider(Protocol):
    """The part of OpenTelemetry's provider that is used here."""

    def get_tracer(self, instrumenting_module_name: str) -> otel.Tracer:
        """Return a tracer."""

    def shutdown(self) -> None:
        """Export what is left."""


class TracingObserver(Observer):
    """A listener that makes spans. No span contains an event, an identifier or credentials."""

    def __init__(self, provider: TracerProvider) -> None:
        """Make spans with a provider."""
        self._provider = provider
        self._tracer = provider.get_tracer("ciosidecar")

    def batch_began(self, batch: BatchInfo, trace: MessageTrace) -> None:
        """Begin the span of a batch, as a child of the caller's span."""
        caller = batch.caller
        headers: Mapping[str, str] = (
            {"traceparent": batch.traceparent} if batch.traceparent else caller.trace_headers
        )
        method = "TransformStream" if caller.session_id else _unary(delivery=caller.delivery)
        trace.span = self._tracer.start_span(
            "batch",
            _PROPAGATOR.extract(headers),
            SpanKind.SERVER,
            {
                "rpc.system": "grpc",
                "rpc.service": _SERVICE,
                "rpc.method": method,
                "ciosidecar.batch_id": batch.batch_id,
                "ciosidecar.items": batch.items,
                "ciosidecar.delivery": caller.delivery,
                "ciosidecar.session_id": caller.session_id,
                "ciosidecar.client_name": caller.client_name,
            },
        )

    def batch_ended(self, trace: MessageTrace) -> None:
        """End the span of a batch."""
        if isinstance(trace.span, Span):
            trace.span.end()
            trace.span = None

    def attempt_ended(self, workspace: WorkspaceLabel, attempt: Attempt) -> None:
        """Make the spans of a request and of the waiting before it, in the trace of its first job's batch."""
        parent = _span(attempt.jobs[0])
        if parent is None:
            return
        ended_at = time.time_ns()
        sent_at = ended_at - int(attempt.duration_s * 1e9)
        context = otel.set_span_in_context(parent)
        links = list(islice(_links(attempt.jobs), MAX_LINKS))
        shared: dict[str, str | int] = {
            "ciosidecar.destination_ref": operator_name(workspace.destination_ref),
            "ciosidecar.jobs": len(attempt.jobs),
            "ciosidecar.attempt": attempt.number,
        }
        waiting = self._tracer.start_span(
            "wait", context, attributes=shared, start_time=sent_at - int(attempt.waited_s * 1e9)
        )
        waiting.end(sent_at)
        method = attempt.jobs[0].request.template.method
        request = self._tracer.start_span(
            f"{method} {attempt.endpoint_path}",
            context,
            SpanKind.CLIENT,
            shared | _http(workspace, attempt, method),
            links,
            sent_at,
        )
        if attempt.failure:
            request.set_status(Status(StatusCode.ERROR, attempt.failure))
            request.set_attribute("error.type", str(attempt.http_status or "no_response"))
        request.end(ended_at)

    def close(self) -> None:
        """Export the spans that are left, for at most three seconds."""
        # The SDK would wait for 30 s if nothing answers at the endpoint.
        exporting = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        exporting.start()
        exporting.join(_LAST_SPANS_S)


def _unary(*, delivery: bool) -> str:
    return "Deliver" if delivery else "Transform"


def _http(workspace: WorkspaceLabel, attempt: Attempt, method: str) -> dict[str, str | int]:
    """Return OpenTelemetry's attributes of a request. url.template is its path without identifiers."""
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "server.address": urlsplit(workspace.base_url).hostname or "",
        "url.template": attempt.endpoint_path,
    }
    if attempt.http_status:
        attributes["http.response.status_code"] = attempt.http_status
    if attempt.number > 1:
        attributes["http.request.resend_count"] = attempt.number - 1
    return attributes


def _span(job: Job) -> Span | None:
    span = job.owner.trace.span
    return span if isinstance(span, Span) else None


def _links(jobs: Sequence[Job]) -> Iterator[Link]:
    """Yield links to the items of a request that have a trace context, and to the other batches in it."""
    parent = _span(jobs[0])
    linked: set[object] = {parent}
    for job in jobs:
        trace = job.owner.trace
        if isinstance(trace.span, Span) and trace.span not in linked:
            linked.add(trace.span)
            yield Link(trace.span.get_span_context())
        traceparent = trace.traceparents.get(job.position)
        if traceparent:
            context = _PROPAGATOR.extract({"traceparent": traceparent})
            item_context = otel.get_current_span(context).get_span_context()
            if item_context.is_valid:
                yield Link(item_context)
