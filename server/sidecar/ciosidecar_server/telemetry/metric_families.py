"""Plain numbers → Prometheus's families. Every metric is named and explained here."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from ..delivery.rate_store import RateStoreSnapshot
from ..rpc.observer import STALLED_S, StreamSnapshot
from .histogram import Histogram
from .lifecycle import build_info
from .workspace_sums import WorkspaceSum

_PREFIX = "ciosidecar_"
STATES = ("ok", "throttled", "paused", "down", "credentials_refused")
"""The states of a workspace."""


class Definition(NamedTuple):
    """A metric's help text and the names of its labels."""

    help: str
    labels: tuple[str, ...] = ()


DEFINITIONS = {
    "events": Definition(
        "Events that have their outcome.", ("type", "api_version", "outcome", "code")
    ),
    "destination_events": Definition(
        "Events that have their outcome, by destination.", ("destination_ref", "outcome", "code")
    ),
    "warnings": Definition("Warnings about events.", ("code",)),
    "requests": Definition(
        "Requests to Customer.io that ended. http_status none: there was no response.",
        ("endpoint_path", "http_status"),
    ),
    "throttles": Definition("Requests that Customer.io answered 429.", ("destination_ref",)),
    "calls": Definition("Unary calls that ended.", ("method", "code")),
    "streams_opened": Definition("Streams that opened."),
    "streams_closed": Definition("Streams that closed.", ("reason",)),
    "stream_reconnects": Definition(
        "Streams that opened within a minute after one of the same client broke."
    ),
    "received_bytes": Definition("Bytes of messages from callers."),
    "sent_bytes": Definition("Bytes of messages to callers."),
    "internal_errors": Definition("Defects of the sidecar; the log has the place of each."),
    "log_lines_dropped": Definition("Log lines that are lost, because stderr did not take them."),
    "batch_transform_seconds": Definition("Time that the server worked on the items of a batch."),
    "queue_seconds": Definition(
        "Time from the submission of an event to its first request, or to its outcome."
    ),
    "request_seconds": Definition("Time of a request to Customer.io.", ("endpoint_path",)),
    "event_loop_lag_seconds": Definition("Delay of a timer in the event loop."),
    "event_loop_tasks": Definition("Tasks of the event loop that have not ended."),
    "build_info": Definition(
        "Versions, and the implementation: compiled or python; the value is 1.",
        ("version", "protocol", "python", "grpc", "protobuf", "implementation"),
    ),
    "certificate_not_after_seconds": Definition(
        "Time at which the server's TLS certificate expires, in seconds since 1970."
    ),
    "streams": Definition("Open streams.", ("delivery",)),
    "streams_stalled": Definition(
        "Open streams whose caller has not read the results for five seconds."
    ),
    "log_lines_waiting": Definition("Log lines that stderr has not taken yet."),
    "events_in_flight": Definition(
        "Events in requests that wait for a response.", ("destination_ref",)
    ),
    "events_waiting": Definition("Events that wait to be sent.", ("destination_ref",)),
    "events_paused": Definition(
        "Events that wait in workspaces which Customer.io asked to pause.", ("destination_ref",)
    ),
    "rate_limit_requests_per_second": Definition(
        "Current rate limit; the lowest, if there are several workspaces.", ("destination_ref",)
    ),
    "rate_limit_full_requests_per_second": Definition(
        "Rate limit of a workspace in good health.", ("destination_ref",)
    ),
    "workspaces": Definition("Workspaces by state.", ("destination_ref", "state")),
    "workspaces_in_other_region": Definition(
        "Workspaces that Customer.io has redirected to its other region.", ("destination_ref",)
    ),
    "rate_store_up": Definition("Whether the rate store answers: 1 or 0."),
    "rate_store_sidecars": Definition("Sidecars that share a rate, as last seen or configured."),
    "rate_store_exchanges": Definition("Exchanges with the rate store that succeeded."),
    "rate_store_tokens": Definition("Tokens for requests that the rate store leased."),
    "rate_store_errors": Definition("Exchanges with the rate store that failed.", ("kind",)),
    "rate_store_fallback_seconds": Definition(
        "Time during which this sidecar kept to its share, because the rate store was away."
    ),
}
"""Every metric, without its prefix and without the ending of its type."""

Labelled = Mapping[tuple[str, ...], float]


def counter(name: str, values: Labelled) -> Metric:
    """Return the family of a counter."""
    definition = DEFINITIONS[name]
    family = CounterMetricFamily(_PREFIX + name, definition.help, labels=definition.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def gauge(name: str, values: Labelled) -> Metric:
    """Return the family of a gauge."""
    definition = DEFINITIONS[name]
    family = GaugeMetricFamily(_PREFIX + name, definition.help, labels=definition.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def histogram(name: str, values: Mapping[tuple[str, ...], Histogram]) -> Metric:
    """Return the family of a histogram."""
    definition = DEFINITIONS[name]
    family = HistogramMetricFamily(_PREFIX + name, definition.help, labels=definition.labels)
    for labels, value in values.items():
        family.add_metric(labels, value.buckets(), value.sum)
    return family


def info() -> Metric:
    """Return the versions and the implementation."""
    return gauge("build_info", {tuple(build_info().values()): 1})


def families_of_state(
    destinations: Mapping[str, WorkspaceSum], streams: Iterable[StreamSnapshot]
) -> Iterable[Metric]:
    """Yield the families of what there is at the moment."""
    open_streams: Counter[tuple[str, ...]] = Counter({("false",): 0, ("true",): 0})
    stalled = 0
    for stream in streams:
        open_streams[(str(stream.info.delivery).lower(),)] += 1
        stalled += stream.unread_s >= STALLED_S
    yield gauge("streams", open_streams)
    yield gauge("streams_stalled", {(): stalled})
    by_ref = destinations.items()
    yield gauge("events_in_flight", {(ref,): found.in_flight for ref, found in by_ref})
    yield gauge("events_waiting", {(ref,): found.waiting for ref, found in by_ref})
    yield gauge("events_paused", {(ref,): found.paused for ref, found in by_ref})
    yield gauge(
        "rate_limit_requests_per_second", {(ref,): found.rate_per_s for ref, found in by_ref}
    )
    yield gauge(
        "rate_limit_full_requests_per_second",
        {(ref,): found.full_rate_per_s for ref, found in by_ref},
    )
    yield gauge(
        "workspaces",
        {(ref, state): found.states[state] for ref, found in by_ref for state in STATES},
    )
    yield gauge("workspaces_in_other_region", {(ref,): found.other_region for ref, found in by_ref})


def families_of_rate_store(store: RateStoreSnapshot | None) -> Iterable[Metric]:
    """Yield the families of the rate store, without values if there is no store."""
    found: dict[str, float] = {}
    errors: dict[tuple[str, ...], float] = {}
    if store is not None:
        found = {
            "rate_store_exchanges": store.exchanges,
            "rate_store_tokens": store.tokens,
            "rate_store_fallback_seconds": store.fallback_s,
            "rate_store_up": store.up,
            "rate_store_sidecars": store.sidecars,
        }
        errors = {(kind,): number for kind, number in store.errors.items()}
    for name in ("rate_store_up", "rate_store_sidecars"):
        yield gauge(name, {(): found[name]} if found else {})
    for name in ("rate_store_exchanges", "rate_store_tokens", "rate_store_fallback_seconds"):
        yield counter(name, {(): found[name]} if found else {})
    yield counter("rate_store_errors", errors)
