"""Spans that a real server exports to a real OTLP receiver."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ciosidecar import v1
from grpc import aio
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.conftest import batch
from tests.fake_customerio import Reply, fake_customerio, nobody
from tests.processes import Server, server
from tests.telemetry.otlp import RECEIVERS, attributes, grpc_receiver

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
ITEM_TRACE_ID = "11112222333344445555666677778888"
ITEM_TRACEPARENT = f"00-{ITEM_TRACE_ID}-aaaabbbbccccdddd-01"
CONFIG = b'{"siteID": "site-4711", "apiKey": "a-secret-key", "apiVersion": "v2"}'
EVENTS = (
    b'{"type":"identify","userId":"user-77001","traits":{"email":"ada@lovelace.example"}}',
    b'{"type":"track","userId":"user-77002","event":"Order","properties":{"card":"4000-1234"}}',
)
PERSONAL = (b"user-7700", b"ada@lovelace", b"4000-1234", b"site-4711", b"a-secret-key", b"Basic ")
UNAVAILABLE = Reply(503)


@contextmanager
def traced(
    monkeypatch: pytest.MonkeyPatch, protocol: str, endpoint: str, url: str, **variables: str
) -> Iterator[Server]:
    """A server with tracing."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    } | variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with server("--listen", "127.0.0.1:0", "--customerio-url", url) as running:
        yield running


def crm(ref: str = "crm") -> v1.Destination:
    """The destination of all events."""
    return v1.Destination(reference_id=1, destination_ref=ref, config_json=CONFIG)


def two_events() -> v1.Batch:
    """A batch of two events. The second has a trace context of its own."""
    events = batch(*EVENTS, batch_id=7)
    events.items[1].traceparent = ITEM_TRACEPARENT
    return events


async def deliver(
    running: Server, events: v1.Batch, *metadata: tuple[str, str], ref: str = "crm"
) -> v1.DeliverResponse:
    """Delivers a batch in a unary call."""
    request = v1.DeliverRequest(batch=events, destinations=[crm(ref)])
    async with aio.insecure_channel(running.addresses[0]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        response: v1.DeliverResponse = await stub.Deliver(request, metadata=metadata, timeout=60)
        return response


def statuses(response: v1.DeliverResponse) -> list[int]:
    """The statuses of all items."""
    return list(response.results.statuses)


@pytest.mark.parametrize("protocol", RECEIVERS)
async def test_a_batch_its_waiting_and_its_requests_are_spans(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the caller's trace: the batch, and for each attempt a span of waiting and one of the request."""
    with RECEIVERS[protocol]() as receiver:
        async with fake_customerio() as customerio:
            customerio.answers(UNAVAILABLE)
            with traced(monkeypatch, protocol, receiver.endpoint, customerio.url) as running:
                response = await deliver(running, two_events(), ("traceparent", TRACEPARENT))
                spans = receiver.wait_for(5)
    assert statuses(response) == [200, 200]
    assert {span.trace_id.hex() for span in spans} == {TRACE_ID}
    whole = next(span for span in spans if span.name == "batch")
    assert whole.parent_span_id.hex() == PARENT_ID
    assert whole.kind == Span.SPAN_KIND_SERVER
    of_batch = attributes(whole.attributes)
    assert of_batch["rpc.method"] == "Deliver"
    assert (of_batch["ciosidecar.batch_id"], of_batch["ciosidecar.items"]) == (7, 2)
    assert {span.parent_span_id for span in spans if span is not whole} == {whole.span_id}
    check_attempts(spans)
    check_order(whole, spans)
    assert receiver.resource["service.name"] == "ciosidecar"
    for personal in PERSONAL:
        assert not any(personal in message for message in receiver.messages)


async def test_a_destination_without_ref_is_called_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in logs and metrics."""
    protocol, receiver_of = next(iter(RECEIVERS.items()))
    with receiver_of() as receiver:
        async with fake_customerio() as customerio:
            with traced(monkeypatch, protocol, receiver.endpoint, customerio.url) as running:
                await deliver(running, two_events(), ref="")
                spans = receiver.wait_for(3)
    names = [attributes(span.attributes).get("ciosidecar.destination_ref") for span in spans]
    assert sorted(filter(None, names)) == ["none", "none"]


def check_attempts(spans: list[Span]) -> None:
    """Two requests, of which the first failed; each links to the item with a trace context of its own."""
    requests = [span for span in spans if span.name == "POST v2/batch"]
    assert [attributes(span.attributes)["ciosidecar.attempt"] for span in requests] == [1, 2]
    assert [attributes(span.attributes)["http.response.status_code"] for span in requests] == [
        503,
        200,
    ]
    assert [span.status.code for span in requests] == [
        Status.STATUS_CODE_ERROR,
        Status.STATUS_CODE_UNSET,
    ]
    for span in requests:
        assert [link.trace_id.hex() for link in span.links] == [ITEM_TRACE_ID]
        assert attributes(span.attributes)["ciosidecar.destination_ref"] == "crm"


def check_order(whole: Span, spans: list[Span]) -> None:
    """Waiting ends when its request begins, and all of it lies within the batch."""
    waits = [span for span in spans if span.name == "wait"]
    requests = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT]
    assert len(waits) == len(requests) == 2
    for wait, request in zip(waits, requests, strict=True):
        assert wait.end_time_unix_nano == request.start_time_unix_nano
        assert whole.start_time_unix_nano - 10**7 <= wait.start_time_unix_nano
        assert request.end_time_unix_nano <= whole.end_time_unix_nano + 10**7
    assert waits[1].start_time_unix_nano >= requests[0].end_time_unix_nano - 10**7


async def on_stream(
    running: Server, *batches: v1.Batch, delivery: bool = False, metadata: Any = ()
) -> None:
    """Sends batches on one stream."""
    opening = v1.OpenStream(client_name="router", destinations=[crm()])
    if delivery:
        opening.delivery.SetInParent()
    messages = [
        v1.TransformStreamRequest(open=opening),
        *(v1.TransformStreamRequest(batch=events) for events in batches),
        v1.TransformStreamRequest(finish=v1.Finish()),
    ]
    async with aio.insecure_channel(running.addresses[0]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        async for _ in stub.TransformStream(iter(messages), metadata=metadata, timeout=60):
            pass


@pytest.mark.parametrize("delivery", [False, True])
async def test_each_batch_of_a_stream_has_a_parent(
    delivery: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The batch's own trace context, else that of the call."""
    own = batch(EVENTS[0], batch_id=1)
    own.traceparent = ITEM_TRACEPARENT
    with grpc_receiver() as receiver:
        async with fake_customerio() as customerio:
            with traced(monkeypatch, "grpc", receiver.endpoint, customerio.url) as running:
                await on_stream(
                    running,
                    own,
                    batch(EVENTS[1], batch_id=2),
                    delivery=delivery,
                    metadata=(("traceparent", TRACEPARENT),),
                )
                running.signal(signal.SIGTERM)
                assert running.end()[0] == 0
    batches = {
        attributes(span.attributes)["ciosidecar.batch_id"]: span
        for span in receiver.spans
        if span.name == "batch"
    }
    assert {number: span.trace_id.hex() for number, span in batches.items()} == {
        1: ITEM_TRACE_ID,
        2: TRACE_ID,
    }
    of_batch = attributes(batches[2].attributes)
    assert of_batch["rpc.method"] == "TransformStream"
    assert of_batch["ciosidecar.client_name"] == "router"
    assert of_batch["ciosidecar.session_id"]


@pytest.mark.parametrize(
    "traceparent",
    ["", "nonsense", "x" * 1_000, "00-" + "0" * 32 + "-" + "0" * 16 + "-01"],
)
async def test_a_broken_trace_context_begins_a_trace(
    traceparent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events are delivered all the same, and no caller fills the log."""
    events = batch(EVENTS[0], batch_id=1)
    events.traceparent = events.items[0].traceparent = traceparent
    with grpc_receiver() as receiver:
        async with fake_customerio() as customerio:
            with traced(monkeypatch, "grpc", receiver.endpoint, customerio.url) as running:
                response = await deliver(running, events)
                spans = receiver.wait_for(3)
                running.signal(signal.SIGTERM)
                _, log = running.end()
    assert statuses(response) == [200]
    assert "traceparent" not in log
    whole = next(span for span in spans if span.name == "batch")
    assert whole.parent_span_id == b""
    assert not any(span.links for span in spans)


async def test_a_sampler_of_the_environment_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller's trace that is not sampled stays unsampled."""
    with grpc_receiver() as receiver:
        async with fake_customerio() as customerio:
            with traced(monkeypatch, "grpc", receiver.endpoint, customerio.url) as running:
                unsampled = TRACEPARENT.removesuffix("01") + "00"
                await deliver(running, batch(EVENTS[0]), ("traceparent", unsampled))
                await deliver(running, batch(EVENTS[1]), ("traceparent", ITEM_TRACEPARENT))
                running.signal(signal.SIGTERM)
                assert running.end()[0] == 0
    assert {span.trace_id.hex() for span in receiver.spans} == {ITEM_TRACE_ID}


async def ended_after_one_event(running: Server) -> tuple[float, str]:
    """Delivers an event and stops the server. The seconds that stopping took, and the log."""
    assert statuses(await deliver(running, batch(EVENTS[0]))) == [200]
    began_at = time.monotonic()
    running.signal(signal.SIGTERM)
    code, errors = running.end()
    assert code == 0
    return time.monotonic() - began_at, errors


async def test_a_receiver_that_is_away_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are delivered, and the server ends within seconds; the log says that spans are lost."""
    with nobody() as endpoint:
        async with fake_customerio() as customerio:
            with traced(monkeypatch, "http/protobuf", endpoint, customerio.url) as running:
                took_s, errors = await ended_after_one_event(running)
    assert took_s < 10
    assert "opentelemetry" in errors


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
async def test_tracing_can_be_off(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is exported then."""
    with grpc_receiver() as receiver:
        async with fake_customerio() as customerio:
            with traced(
                monkeypatch, "grpc", receiver.endpoint, customerio.url, **variables
            ) as running:
                _, errors = await ended_after_one_event(running)
    assert not receiver.messages
    assert "no traces" not in errors


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon", "must be grpc or http/protobuf"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000", "no traces"),
    ],
)
async def test_a_variable_that_cannot_be_followed_is_logged(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server goes on without traces."""
    with grpc_receiver() as receiver:
        async with fake_customerio() as customerio:
            variables = {variable: value}
            with traced(
                monkeypatch, "grpc", receiver.endpoint, customerio.url, **variables
            ) as running:
                _, errors = await ended_after_one_event(running)
    assert words in errors
    assert not receiver.messages
