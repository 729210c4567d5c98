"""The unary Deliver: one batch in, its results out, with the meaning that they have on a stream."""

import asyncio
import gc
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from ciosidecar import v1
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.app import Sidecar
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.settings import Settings
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import Connect, Stub
from tests.delivery.caller import (
    CONFIG,
    CONFIG_V2,
    Told,
    caller,
    group,
    identify,
    item,
    put,
    track,
)
from tests.fake_customerio import (
    HOLD,
    OK,
    WITHIN_S,
    FakeCustomerio,
    Reply,
    fake_customerio,
)
from tests.processes import cpu_s, server

FAILING_FOR_LONG = Reply(503, headers={"Retry-After": "300"})


def deliver_request(
    *items: dict[str, Any] | v1.BatchItem,
    configs: tuple[bytes, ...] = (CONFIG,),
    timeout_s: float | None = 15,
    **options: Any,
) -> v1.DeliverRequest:
    """One batch for the first of some destinations; every item gets a detail."""
    options.setdefault("detail_level", v1.DetailLevel.DETAIL_LEVEL_ALL)
    request = v1.DeliverRequest(delivery=v1.DeliveryOptions(**options))
    for reference_id, config in enumerate(configs, 1):
        request.destinations.add(reference_id=reference_id, config_json=config)
    request.batch.batch_id = 7
    request.batch.destination = 1
    if timeout_s is not None:
        request.batch.timeout.FromMilliseconds(round(timeout_s * 1000))
    request.batch.items.extend(
        entry if isinstance(entry, v1.BatchItem) else item(entry) for entry in items
    )
    return request


def told_of(results: v1.Results) -> list[Told]:
    """What is said of each item: all positions are in the one message."""
    assert (results.batch_id, results.first_position, list(results.positions)) == (7, 0, [])
    assert results.batch_complete
    details = {detail.position: detail for detail in results.details}
    return [Told(status, details.get(position)) for position, status in enumerate(results.statuses)]


async def deliver(stub: Stub, *items: dict[str, Any] | v1.BatchItem, **options: Any) -> list[Told]:
    answer: Any = await stub.Deliver(deliver_request(*items, **options), timeout=WITHIN_S)
    return told_of(answer.results)


async def no_delivery_is_left() -> None:
    """Waits until the server, which shares this test's loop, has no worker of a delivery any more."""

    def workers() -> int:
        return sum("DeliveryWorker." in repr(task.get_coro()) for task in asyncio.all_tasks())

    async with asyncio.timeout(WITHIN_S):
        while workers():  # noqa: ASYNC110 - a state of the server, not of this test
            await asyncio.sleep(0.005)


@asynccontextmanager
async def served(connect: Connect, **settings: Any) -> AsyncIterator[tuple[FakeCustomerio, Stub]]:
    """A scripted Customer.io, and a stub of a server that delivers there."""
    async with fake_customerio() as customerio:
        yield customerio, await connect(customerio_url=customerio.url, **settings)


async def test_the_events_are_at_customerio_when_the_call_returns(connect: Connect) -> None:
    """Delivered, filtered and refused events of one batch, each at its position."""
    with running_sandbox() as sandbox:
        stub = await connect(customerio_url=sandbox.url)
        device_mode = v1.BatchItem(json=json.dumps(track("x")).encode(), source_type="web")
        config = b'{"siteID": "site", "apiKey": "key", "connectionMode": {"web": "device"}}'
        told = await deliver(
            stub,
            identify("u1", email="u1@example.com"),
            {"type": "unknown"},
            device_mode,
            group("u1", "acme"),
            configs=(config,),
        )
        assert [one.status for one in told] == [200, 400, 298, 200]
        assert [one.delivery.http_status for one in told] == [200, 0, 0, 200]
        async with httpx.AsyncClient(base_url=sandbox.url) as programs:
            people = (await programs.get("/sandbox/people")).json()["people"]
        assert [person["email"] for person in people] == ["u1@example.com"]


async def test_refused_and_throttled(connect: Connect) -> None:
    """Customer.io's own status and words; what is throttled comes back with the time to wait."""
    async with served(connect) as (customerio, stub):
        refusal = Reply(400, b'{"meta": {"error": "no such thing"}}')
        throttling = Reply(429, headers={"Retry-After": "300"})
        customerio.rule = lambda request: {"u1": refusal, "u2": throttling}.get(request.person, OK)
        refused, throttled, delivered = await deliver(
            stub, track("1", "u1"), track("1", "u2"), track("1", "u3")
        )
        assert (refused.status, refused.code) == (400, "REFUSED")
        assert not refused.detail.error.retryable
        assert (throttled.status, throttled.code) == (429, "THROTTLED")
        assert throttled.detail.error.retryable
        assert (throttled.retry_after_s or 0) > 200
        assert delivered.status in (200, 429)  # the pause may come before its turn


@pytest.mark.parametrize("place", ["batch", "options"])
async def test_the_time_limit_of_the_delivery(connect: Connect, place: str) -> None:
    """What has no answer by then is a retryable error; the call itself ends with OK."""
    async with served(connect) as (customerio, stub):
        customerio.rule = lambda request: HOLD if request.person == "u1" else OK
        request = deliver_request(
            track("1", "u1"),
            track("2", "u1"),
            track("1", "u2"),
            timeout_s=2 if place == "batch" else None,
        )
        if place == "options":
            request.delivery.default_timeout.FromMilliseconds(2000)
        answer: Any = await stub.Deliver(request, timeout=WITHIN_S)
        first, second, other = told_of(answer.results)
        assert (first.status, first.code) == (504, "UPSTREAM_TIMEOUT")
        assert second.status in (503, 504)
        assert other.status == 200
        assert [request.person for request in customerio.requests].count("u1") == 1


async def test_a_failure_blocks_later_events_of_the_person(connect: Connect) -> None:
    """They are not sent, and name the item of this batch that failed."""
    async with served(connect) as (customerio, stub):
        customerio.rule = lambda request: FAILING_FOR_LONG if request.person == "u1" else OK
        told = await deliver(stub, track("1", "u1"), track("2", "u1"))
        assert [one.status for one in told] == [503, 503]
        assert (told[1].code, told[1].blocked_by) == ("BLOCKED", (7, 0))
        assert customerio.names == ["1"]


async def test_details_and_requests_as_asked_for(connect: Connect) -> None:
    """NOTABLE leaves out what went well; include_requests returns what was sent."""
    async with served(connect) as (customerio, stub):
        notable = v1.DetailLevel.DETAIL_LEVEL_NOTABLE
        request = deliver_request(
            track("1"), {"type": "unknown"}, detail_level=notable, include_requests=True
        )
        answer: Any = await stub.Deliver(request, timeout=WITHIN_S)
        assert [detail.position for detail in answer.results.details] == [1]
        (sent,) = customerio.requests
        (reported,) = answer.results.requests
        assert (reported.path, reported.body) == (sent.path, sent.body)
        assert list(reported.positions) == [0]


async def test_reported_requests_of_two_workspaces_stay_apart(connect: Connect) -> None:
    """Items of two destinations never share a reported request, nor its credentials."""
    async with served(connect) as (customerio, stub):
        other = b'{"siteID": "other", "apiKey": "key", "apiVersion": "v2"}'
        request = deliver_request(
            track("1", "u1"),
            item(track("1", "u2"), destination=2),
            track("2", "u1"),
            configs=(CONFIG_V2, other),
            include_requests=True,
        )
        results = (await stub.Deliver(request, timeout=WITHIN_S)).results
        reported = {
            results.templates[each.template].headers["Authorization"]: list(each.positions)
            for each in results.requests
        }
        sent = {each.headers["authorization"]: len(each.items) for each in customerio.requests}
        assert sorted(reported.values()) == [[0, 2], [1]]
        assert {key: len(positions) for key, positions in reported.items()} == sent


async def test_requests_that_the_response_cannot_hold_are_left_out(connect: Connect) -> None:
    """All events are delivered and say so: long credentials come with each kind of request."""
    async with served(connect, max_message_bytes=100_000) as (customerio, stub):
        config = json.dumps({"siteID": "site", "apiKey": "k" * 30_000}).encode()
        request = deliver_request(
            track("1"),
            identify("u1"),
            {"type": "track", "anonymousId": "a1", "event": "1"},
            {"type": "alias", "userId": "u1", "previousId": "u2"},
            configs=(config,),
            include_requests=True,
        )
        answer: Any = await stub.Deliver(request, timeout=WITHIN_S)
        assert answer.ByteSize() <= 100_000
        assert [one.status for one in told_of(answer.results)] == [200] * 4
        assert len(customerio.requests) == 4
        assert [list(one.positions) for one in answer.results.requests] == [[0], [1]]


async def test_a_prepared_request_is_delivered(connect: Connect) -> None:
    """Without any destination."""
    async with served(connect) as (customerio, stub):
        prepared = v1.BatchItem(prepared=put("https://track.customer.io/api/v1/customers/u1"))
        assert [one.status for one in await deliver(stub, prepared, configs=())] == [200]
        assert [request.person for request in customerio.requests] == ["u1"]


async def test_the_limits_of_streams_do_not_apply(connect: Connect) -> None:
    """A batch may hold max_batch_events, however few a stream may have unanswered."""
    async with served(connect, max_outstanding_events=2, max_batch_events=50) as (_, stub):
        events = [track("1", f"u{number}") for number in range(50)]
        assert {one.status for one in await deliver(stub, *events)} == {200}
        with pytest.raises(aio.AioRpcError) as failure:
            await deliver(stub, *events, track("1"))
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_order_between_a_call_and_a_stream(connect: Connect) -> None:
    """A person's event of a call waits for that of a stream, and the other way round."""
    async with served(connect) as (customerio, stub), caller(stub) as stream:
        customerio.rule = lambda _request: HOLD
        await stream.send(1, track("1", "u1"))
        await customerio.arrived(1)
        call = asyncio.ensure_future(deliver(stub, track("2", "u1"), track("of u9", "u9")))
        # The other person's event overtakes, so the second one had its chance to.
        first, other = await customerio.arrived(2)
        assert other.name == "of u9"
        await stream.send(2, track("3", "u1"), track("of u8", "u8"))
        assert (await customerio.arrived(3))[2].name == "of u8"
        customerio.rule = lambda _request: OK
        for request in (first, other, customerio.requests[2]):
            request.release()
        assert [one.status for one in await call] == [200, 200]
        assert [one.status for one in await stream.told_all(2)] == [200, 200]
        of_u1 = [request for request in customerio.requests if request.person == "u1"]
        assert [request.name for request in of_u1] == ["1", "2", "3"]
        assert not any(each in request.beside for request in of_u1 for each in of_u1)


@pytest.mark.parametrize("end", ["cancelled", "deadline"])
async def test_a_call_that_ends_early_forgets_its_jobs(connect: Connect, end: str) -> None:
    """What is not under way is not sent; a later call is not blocked by it."""
    async with served(connect, delivery_concurrency=1) as (customerio, stub):
        customerio.rule = lambda _request: HOLD
        request = deliver_request(*(track(f"{number}", "u1") for number in range(20)))
        call: Any = stub.Deliver(request, timeout=3 if end == "deadline" else WITHIN_S)
        (first,) = await customerio.arrived(1)
        if end == "cancelled":
            call.cancel()
        with pytest.raises((aio.AioRpcError, asyncio.CancelledError)):
            await call
        await no_delivery_is_left()
        customerio.rule = lambda _request: OK
        later = asyncio.ensure_future(deliver(stub, track("later", "u1")))
        first.release()
        assert [one.status for one in await later] == [200]
        assert customerio.names == ["0", "later"]


def jobs() -> set[Job]:
    """The jobs of this process."""
    gc.collect()
    return {kept for kept in gc.get_objects() if type(kept) is Job}


async def test_nothing_of_a_call_is_kept(connect: Connect) -> None:
    """Once it has returned, no job of it is left."""
    # Another test's event may still wait for an attempt that never comes.
    before = jobs()
    async with served(connect) as (_, stub):
        assert {one.status for one in await deliver(stub, *[track("1")] * 20)} == {200}
        assert {one.status for one in await deliver(stub, track("2"))} == {200}
        await no_delivery_is_left()
        assert jobs() <= before


async def test_draining() -> None:
    """What is in flight is waited for; the rest comes back as DRAINING; the process ends with 0."""
    async with fake_customerio() as customerio:
        customerio.rule = lambda _request: HOLD
        listen = ("--listen", "127.0.0.1:0", "--customerio-url", customerio.url)
        with server(*listen, "--grace-s", "10", "--log-level", "warning") as process:
            async with aio.insecure_channel(process.addresses[0]) as channel:
                stub: Any = v1.SidecarServiceStub(channel)
                call = asyncio.ensure_future(deliver(stub, track("1", "u1"), track("2", "u1")))
                (request,) = await customerio.arrived(1)
                health: Any = health_pb2_grpc.HealthStub(channel)
                watch: Any = health.Watch(health_pb2.HealthCheckRequest())
                serving = health_pb2.HealthCheckResponse.SERVING
                assert (await watch.read()).status == serving
                process.signal(signal.SIGTERM)
                async with asyncio.timeout(WITHIN_S):
                    while (await watch.read()).status == serving:
                        pass
                watch.cancel()
                request.release()
                first, second = await call
                assert first.status == 200
                assert (second.status, second.code) == (503, "DRAINING")
                assert second.detail.error.retryable
            ended = await asyncio.wait_for(asyncio.to_thread(process.end), WITHIN_S)
            assert ended == (0, "")
        assert customerio.names == ["1"]


async def test_delivery_closes_after_the_last_call_has_ended() -> None:
    """A second signal cancels calls; gRPC's server has ended a moment before their tasks have."""
    async with fake_customerio() as customerio:
        customerio.rule = lambda _request: HOLD
        sidecar = Sidecar(Settings(listen=("127.0.0.1:0",), customerio_url=customerio.url))
        (address,) = await sidecar.start()
        close, under_way = sidecar._dispatcher.aclose, []
        async with asyncio.timeout(WITHIN_S):
            while calls_under_way():  # noqa: ASYNC110 - calls of an earlier test
                await asyncio.sleep(0.005)

        async def closing() -> None:
            under_way.append(calls_under_way())
            await close()

        sidecar._dispatcher.aclose = closing  # type: ignore[method-assign]
        async with aio.insecure_channel(address) as channel:
            stub = v1.SidecarServiceStub(channel)
            calls = [
                asyncio.ensure_future(deliver(stub, track("1", user), track("2", user)))
                for user in ("u1", "u2", "u3")
            ]
            await customerio.arrived(3)
            assert calls_under_way() == 3
            await sidecar.stop_at_once()
            await asyncio.wait(calls)
        assert under_way == [0]
        assert customerio.names == ["1"] * 3


def calls_under_way() -> int:
    """The number of gRPC's tasks that answer a call of Deliver."""
    return sum("SidecarService/Deliver" in task.get_name() for task in asyncio.all_tasks())


async def test_a_signal_during_a_large_call_ends_its_work() -> None:
    """Each event has its result, DRAINING for the rest, which costs the server no transform.

    Answering the rest takes the server half of the CPU time that decoding the call takes; with the transform
    it takes more than three times that.
    """
    traits = {f"key{number}": "v" * 10 for number in range(200)}
    items = [identify(f"u{number}", **traits) for number in range(3_000)]
    async with fake_customerio() as customerio:
        listen = ("--listen", "127.0.0.1:0", "--customerio-url", customerio.url)
        with server(*listen, "--grace-s", "15", "--log-level", "warning") as process:
            pid = process.process.pid
            async with aio.insecure_channel(process.addresses[0]) as channel:
                stub: Any = v1.SidecarServiceStub(channel)
                request = deliver_request(*items, configs=(CONFIG_V2,))
                began_s = cpu_s(pid)
                call = stub.Deliver(request, timeout=WITHIN_S)
                await customerio.arrived(1)
                signalled_s = cpu_s(pid)
                process.signal(signal.SIGTERM)
                response = await call
                answered_s = cpu_s(pid)
        statuses = list(response.results.statuses)
        assert len(statuses) == len(items)
        assert set(statuses) <= {200, 503}
        codes = {detail.error.code for detail in response.results.details if detail.error.code}
        assert codes <= {v1.ErrorCode.ERROR_CODE_DRAINING}
        assert answered_s - signalled_s < 1.5 * (signalled_s - began_s)


async def test_a_response_that_would_be_too_large_leaves_out_texts(connect: Connect) -> None:
    """Every item has its status and code within max_message_bytes, however much there is to say."""
    limit = 200_000
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url, max_message_bytes=limit)
        items = [v1.BatchItem(json=b"{}", tag=b"t" * 100) for _ in range(1500)]
        response = await stub.Deliver(deliver_request(*items))
        assert response.ByteSize() <= limit
        details = response.results.details
        assert {detail.error.code for detail in details} == {
            v1.ErrorCode.ERROR_CODE_UNSUPPORTED_TYPE
        }
        assert [detail.position for detail in details] == list(range(1500))
        assert details[0].tag
        assert not details[-1].tag
        assert not details[-1].error.message
