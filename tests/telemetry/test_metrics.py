"""What /metrics of a real server says, read by Prometheus's own parser."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator

import pytest
from ciosidecar import v1
from ciosidecar_server.rpc.observer import EventLabels
from ciosidecar_server.telemetry.destination_names import DestinationNames
from ciosidecar_server.telemetry.metrics import Metrics
from ciosidecar_server.telemetry.workspace_sums import WorkspaceReader
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from tests.delivery.caller import CONFIG, CONFIG_V2, put, track
from tests.fake_customerio import HOLD, FakeCustomerio, Received, Reply, fake_customerio
from tests.processes import Server, server
from tests.telemetry.support import (
    delivering_server,
    exposition,
    metrics_of,
    stream_of,
    until_answered,
    value,
)

pytestmark = pytest.mark.serial
LOOPBACK = ("--listen", "127.0.0.1:0")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def test_transformed_events_are_counted() -> None:
    """By type, API version, outcome and code, and by destination; with warnings, streams and bytes."""
    async with (
        delivering_server("http://127.0.0.1:9") as running,
        stream_of(running, ("v1", CONFIG), ("v2", CONFIG_V2), delivery=False) as caller,
    ):
        invalid = [v1.BatchItem(json=b"{")] * 3
        unusual = track("E", "u1", timestamp="nonsense")
        page = {"type": "Page", "userId": "u1", "name": "Home"}
        await caller.send(1, *(track("E", f"u{n}") for n in range(5)), *invalid, unusual)
        await caller.send(2, page, track("E", ""), {"type": "odd"}, number=2)
        await caller.send(3, track("E"), number=7)
        for batch_id in (1, 2, 3):
            await caller.told_all(batch_id)
        during = await metrics_of(running)
        await caller.finish()
        metrics = await metrics_of(running)
    events = {
        ("track", "v1", "transformed", ""): 6,
        ("unknown", "v1", "rejected", "INVALID_JSON"): 3,
        ("page", "v2", "transformed", ""): 1,
        ("track", "v2", "rejected", "MISSING_IDENTITY"): 1,
        ("unknown", "v2", "rejected", "UNSUPPORTED_TYPE"): 1,
        ("unknown", "", "retryable", "UNKNOWN_DESTINATION"): 1,
    }
    counted = {
        tuple(dict(labels)[name] for name in ("type", "api_version", "outcome", "code")): number
        for (name, labels), number in metrics.items()
        if name == "ciosidecar_events_total"
    }
    assert counted == events
    by_destination = {
        (dict(labels)["destination_ref"], dict(labels)["code"]): number
        for (name, labels), number in metrics.items()
        if name == "ciosidecar_destination_events_total"
    }
    assert by_destination == {
        ("v1", ""): 6,
        ("v1", "INVALID_JSON"): 3,
        ("v2", ""): 1,
        ("v2", "MISSING_IDENTITY"): 1,
        ("v2", "UNSUPPORTED_TYPE"): 1,
        ("none", "UNKNOWN_DESTINATION"): 1,
    }
    assert value(metrics, "warnings_total", code="UNUSABLE_TIME") == 1
    assert value(metrics, "batch_transform_seconds_count") == 3
    assert value(metrics, "received_bytes_total") > 300
    assert value(metrics, "sent_bytes_total") > 300
    assert value(during, "streams", delivery="false") == 1
    assert value(metrics, "streams", delivery="false") == 0
    assert value(metrics, "streams_opened_total") == 1
    assert value(metrics, "streams_closed_total", reason="finished") == 1
    assert value(metrics, "stream_reconnects_total") == 0


async def test_deliveries_are_counted() -> None:
    """Requests by endpoint and status, retries among them; events by what became of them; times as histograms."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        stream_of(running, ("ref", CONFIG)) as caller,
    ):
        customerio.rule = _by_name({"refused": 400})
        customerio_url = f"{customerio.url}/api/v1/customers/u9"
        prepared = v1.BatchItem(prepared=put(customerio_url, endpoint_path="odd/" * 9))
        await caller.send(
            1, *(track("fine", f"u{n}") for n in range(4)), track("refused", "u5"), prepared
        )
        told = await caller.told_all(1)
        assert [each.status for each in told] == [200] * 4 + [400, 200]
        customerio.answers(Reply(503), Reply(429), Reply(200))
        await caller.send(2, track("again", "u6"))
        assert (await caller.told(2)).status == 200
        metrics = await metrics_of(running)
    path = "v1/customers/events"
    expected = {("200", path): 5, ("400", path): 1, ("503", path): 1, ("429", path): 1}
    expected["200", "other"] = 1
    for (status, endpoint_path), number in expected.items():
        labels = {"http_status": status, "endpoint_path": endpoint_path}
        assert value(metrics, "requests_total", **labels) == number
    assert value(metrics, "throttles_total", destination_ref="ref") == 1
    assert value(metrics, "request_seconds_count", endpoint_path=path) == 8
    assert value(metrics, "queue_seconds_count") == 7
    counted = {"type": "track", "api_version": "v1"}
    assert value(metrics, "events_total", **counted, outcome="delivered", code="") == 5
    assert value(metrics, "events_total", **counted, outcome="rejected", code="REFUSED") == 1


def _by_name(statuses: dict[str, int]) -> Callable[[Received], Reply]:
    return lambda request: Reply(statuses.get(request.name, 200))


async def test_the_state_of_a_workspace() -> None:
    """What is in flight and waits, the rate, and a pause, at the moment of the reading."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url, "--delivery-rate", "500") as running,
        stream_of(running, ("ref", CONFIG)) as caller,
    ):
        customerio.answers(then=HOLD)
        await caller.send(1, *(track("E", "u1") for _ in range(3)))
        (request,) = await customerio.arrived(1)
        metrics = await metrics_of(running)
        assert value(metrics, "events_in_flight", destination_ref="ref") == 1
        assert value(metrics, "events_waiting", destination_ref="ref") == 2
        assert value(metrics, "events_paused", destination_ref="ref") == 0
        assert value(metrics, "workspaces", destination_ref="ref", state="ok") == 1
        assert value(metrics, "rate_limit_requests_per_second", destination_ref="ref") == 500
        request.release(Reply(429, headers={"Retry-After": "10"}))
        async with asyncio.timeout(10):
            while not value(metrics, "workspaces", destination_ref="ref", state="paused"):
                metrics = await metrics_of(running)
        assert value(metrics, "workspaces", destination_ref="ref", state="ok") == 0
        assert value(metrics, "events_paused", destination_ref="ref") == 3
        assert value(metrics, "rate_limit_requests_per_second", destination_ref="ref") == 350
        full = value(metrics, "rate_limit_full_requests_per_second", destination_ref="ref")
        assert full == 500


async def test_a_stream_that_replaces_a_broken_one_is_a_reconnect() -> None:
    """A stream is no reconnect if the one before was finished."""
    async with delivering_server("http://127.0.0.1:9") as running:
        for finished in (True, False, True):
            async with stream_of(running, ("ref", CONFIG)) as caller:
                await caller.send(1, v1.BatchItem(json=b"{"))
                await caller.told_all(1)
                if finished:
                    await caller.finish()
            async with asyncio.timeout(10):
                while value(await metrics_of(running), "streams", delivery="true"):
                    pass
        metrics = await metrics_of(running)
    assert value(metrics, "streams_opened_total") == 3
    assert value(metrics, "stream_reconnects_total") == 1


async def test_a_limited_number_of_destinations_is_told_apart() -> None:
    """The others are counted together, also in gauges."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url, "--metrics-destinations", "2") as running,
        stream_of(running, *((f"ref-{n}", _config(n)) for n in range(5))) as caller,
    ):
        for number in range(1, 6):
            await caller.send(number, track("E", "u1"), number=number)
            await caller.told_all(number)
        metrics = await metrics_of(running)
    labels = {"outcome": "delivered", "code": ""}
    counted = [
        value(metrics, "destination_events_total", destination_ref=ref, **labels)
        for ref in ("ref-0", "ref-1", "ref-2", "other")
    ]
    assert counted == [1, 1, 0, 3]
    assert value(metrics, "workspaces", destination_ref="other", state="ok") == 3


def _config(number: int) -> bytes:
    return json.dumps({"siteID": f"site-{number}", "apiKey": "key"}).encode()


def test_a_million_refs_do_not_grow_the_metrics() -> None:
    """Nor do they slow the reading down."""
    metrics = Metrics(WorkspaceReader(DestinationNames(100), list), list)
    for thousand in range(1_000):
        labels = (
            EventLabels(f"ref-{thousand * 1_000 + number}", "track", "v1", "delivered", "")
            for number in range(1_000)
        )
        metrics.events_answered(dict.fromkeys(labels, 1), {})
    body, _ = asyncio.run(metrics.render())
    lines = [line for line in body.decode().splitlines() if "destination_events_total{" in line]
    assert len(lines) == 101
    assert sum(float(line.rpartition(" ")[2]) for line in lines) == 1_000_000


async def test_a_ref_cannot_forge_a_sample() -> None:
    """It is cut and escaped."""
    forged = 'x"} 1\nciosidecar_forged_total 1\n\x1b' + "é" * 1_000
    async with (
        delivering_server("http://127.0.0.1:9") as running,
        stream_of(running, (forged, CONFIG), delivery=False) as caller,
    ):
        await caller.send(1, track("E"))
        await caller.told_all(1)
        text, _ = await exposition(running)
    families = {family.name for family in text_format(text)}
    assert "ciosidecar_destination_events" in families
    assert "ciosidecar_forged" not in families
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 800


async def test_refs_that_look_alike_are_told_apart() -> None:
    """Long ones that begin alike, and those that are named as if they were none or the others."""
    long = "destination-" * 20
    refs = ("", "none", "other", f"{long}1", f"{long}2")
    async with (
        delivering_server("http://127.0.0.1:9", "--metrics-destinations", "5") as running,
        stream_of(running, *((ref, CONFIG) for ref in (*refs, "a")), delivery=False) as caller,
    ):
        for number in range(1, 7):
            await caller.send(number, *[track("E", "u1")] * number, number=number)
            await caller.told_all(number)
        metrics = await metrics_of(running)
    name = "ciosidecar_destination_events_total"
    events = {
        dict(labels)["destination_ref"]: n for (key, labels), n in metrics.items() if key == name
    }
    cut = sorted(ref for ref in events if ref.startswith("destination-"))
    assert sorted(events[ref] for ref in cut) == [4, 5]
    assert max(map(len, cut)) < 150
    del events[cut[0]], events[cut[1]]
    assert events == {"none": 1, "ref:none": 2, "ref:other": 3, "other": 6}


@pytest.fixture(scope="module")
def families() -> dict[str, Metric]:
    """Every family of a server that has transformed and delivered, as OpenMetrics."""
    return asyncio.run(_families())


async def _families() -> dict[str, Metric]:
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        stream_of(running, ("ref", CONFIG)) as caller,
    ):
        await caller.send(1, track("E"), v1.BatchItem(json=b"{"), track("E", timestamp="x"))
        await caller.told_all(1)
        text, content_type = await exposition(running, OPENMETRICS)
        plain, plain_type = await exposition(running)
    assert content_type.startswith("application/openmetrics-text")
    assert plain_type.startswith("text/plain; version=0.0.4")
    # In the text format, the name of a counter's family ends with _total.
    assert len(list(text_format(plain))) == len(list(openmetrics(text)))  # type: ignore[no-untyped-call]
    return {family.name: family for family in openmetrics(text)}  # type: ignore[no-untyped-call]


def test_the_names_follow_prometheuss_conventions(families: dict[str, Metric]) -> None:
    """The rules of `promtool check metrics`."""
    problems = [problem for family in families.values() for problem in _problems(family)]
    assert problems == []


_UNIT_WORDS = ("milliseconds", "ms", "minutes", "kilobytes", "megabytes", "percent", "count", "sum")


def _problems(family: Metric) -> Iterator[str]:
    name = family.name
    if not family.documentation.strip():
        yield f"{name} has no help text"
    if not re.fullmatch(r"(ciosidecar|process)_[a-z0-9_]+", name):
        yield f"{name} has other characters than snake_case, or no prefix"
    if name.endswith("_total") or (family.type in name.split("_")):
        yield f"{name} repeats its type"
    if any(word in name.split("_") for word in _UNIT_WORDS):
        yield f"{name} has no base unit, or an ending that histograms use"
    for sample in family.samples:
        if (family.type == "counter") != sample.name.endswith("_total"):
            yield f"{sample.name}: counters end with _total, and nothing else does"
        for label in sample.labels:
            if not re.fullmatch(r"[a-z_]+", label) or (
                label == "le" and not sample.name.endswith("_bucket")
            ):
                yield f"{sample.name} has the label {label}"
        if sample.value < 0:
            yield f"{sample.name} is negative"


async def test_no_port_no_metrics_and_no_harm() -> None:
    """--admin-listen none: the server counts and works, and nothing listens."""
    async with fake_customerio() as customerio:
        listen = (*LOOPBACK, "--customerio-url", customerio.url, "--admin-listen", "none")
        with server(*listen) as running:
            assert running.ready_line["admin"] is None
            await _deliver_one(running, customerio)


async def _deliver_one(running: Server, customerio: FakeCustomerio) -> None:
    async with stream_of(running, ("ref", CONFIG)) as caller:
        await caller.send(1, track("E"))
        await until_answered(customerio, 1)
        assert (await caller.told(1)).status == 200
