"""What a stream may have unanswered, and that nobody pays for another's destination."""

import asyncio
import gc
import json

import pytest
from ciosidecar import v1
from ciosidecar_server.app import Sidecar
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.rpc.delivery_batch import DeliveryBatch
from ciosidecar_server.settings import Settings
from grpc import aio

from tests.conftest import Connect, batch, opened, results_of
from tests.delivery.caller import CONFIG, caller, delivering, item, track
from tests.fake_customerio import HOLD, OK, Reply, fake_customerio

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'


async def test_a_customerio_that_does_not_answer_stops_the_reading(connect: Connect) -> None:
    """Beyond the limit no batch is taken in: what it names is not answered, not even refused."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, max_outstanding_events=20) as one,
    ):
        customerio.rule = lambda _request: HOLD
        unknown = {"type": "unknown"}
        for batch_id in range(1, 4):
            await one.send(
                batch_id, *(track("1", f"u{batch_id}-{each}") for each in range(10)), unknown
            )
        # Of the batch that went over the limit everything is in work; the next one is not read.
        assert (await one.told(2, 10)).status == 400
        requests = await customerio.arrived(20)
        assert not one.knows(3, 10)
        assert len(requests) == 20
        customerio.rule = lambda _request: OK
        for request in requests:
            request.release()
        assert (await one.told(3, 10)).status == 400
        assert {told.status for told in (await one.told_all(3))[:10]} == {200}


async def test_outstanding_bytes_are_limited_too(connect: Connect) -> None:
    """Few events that are large stop the reading as well."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, max_outstanding_bytes=50_000) as one,
    ):
        customerio.rule = lambda _request: HOLD
        large = {"text": "x" * 60_000}
        await one.send(1, track("1", properties=large))
        await one.send(2, {"type": "unknown"})
        (request,) = await customerio.arrived(1)
        assert not one.knows(2)
        request.release()
        assert (await one.told(2)).status == 400


async def test_an_answered_batch_is_outstanding_no_more(connect: Connect) -> None:
    """Neither its tags nor its requests: a stream carries any number of batches, one after another."""
    tags = [b"t" * 1_000] * 10
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, max_outstanding_bytes=50_000) as one,
    ):
        for batch_id in range(1, 11):
            unknown = [item({"type": "unknown"}, tag=tag) for tag in tags]
            await one.send(batch_id, *unknown, item(track("1", f"u{batch_id}")))
            statuses = [told.status for told in await one.told_all(batch_id)]
            assert statuses == [400] * 10 + [200]


async def test_a_destination_that_is_down_holds_its_own_events_back_only(connect: Connect) -> None:
    """On one stream: the other destination's events are answered while these are not."""
    down, up = (b'{"siteID": "%b", "apiKey": "key"}' % name for name in (b"down", b"up"))
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, down, up) as one,
    ):
        customerio.rule = lambda request: (
            HOLD if request.headers["authorization"] == "Basic ZG93bjprZXk=" else OK
        )
        await one.send(1, *(track("1", f"u{number}") for number in range(200)), number=1)
        for batch_id in range(2, 12):
            await one.send(batch_id, *(track("1", f"u{number}") for number in range(50)), number=2)
        for batch_id in range(2, 12):
            assert {told.status for told in await one.told_all(batch_id)} == {200}
        assert not one.knows(1)


async def test_a_workspace_that_fails_is_asked_one_request_at_a_time(connect: Connect) -> None:
    """After five failures in a row; once one is taken, all go again."""
    other = b'{"siteID": "other", "apiKey": "key"}'
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG, other) as one,
    ):
        customerio.rule = lambda request: (
            OK if request.headers["authorization"] == "Basic b3RoZXI6a2V5" else HOLD
        )
        await one.send(1, *(track("1", f"u{number}") for number in range(30)))
        for request in await customerio.arrived(30):
            request.release(Reply(503))
        probe = (await customerio.arrived(31))[30]
        assert probe.beside == []
        # Events that need not wait for a retry: another stream's are answered after them, and none of them is sent.
        await one.send(2, *(track("1", f"v{number}") for number in range(5)), {"type": "unknown"})
        assert (await one.told(2, 5)).status == 400
        await one.send(3, track("1", "u1"), number=2)
        assert (await one.told(3)).status == 200
        assert len(customerio.requests) == 32
        customerio.rule = lambda _request: OK
        probe.release()
        assert {told.status for told in await one.told_all(1)} == {200}
        assert {told.status for told in (await one.told_all(2))[:5]} == {200}


async def test_a_workspace_that_is_down_keeps_no_caller_waiting(connect: Connect) -> None:
    """Alone on its stream, too: what is beyond its share comes back at once, with the failure and when to try again."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, max_outstanding_events=100) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, *(track("1", f"u{number}") for number in range(5)), timeout_s=600)
        for request in await customerio.arrived(5):
            request.release(Reply(503))
        await customerio.arrived(6)
        await one.send(2, *(track("1", f"v{number}") for number in range(50)), timeout_s=600)
        told = [await one.told(2, position) for position in range(5, 50)]
        assert {(each.status, each.code) for each in told} == {(503, "UPSTREAM_FAILED")}
        assert all(each.detail.error.retryable for each in told)
        assert {each.delivery.attempts for each in told} == {0}
        assert max(each.retry_after_s or 0 for each in told) <= 10
        assert not any(one.knows(2, position) for position in range(5))


async def test_what_waits_when_a_workspace_goes_down_makes_room(connect: Connect) -> None:
    """A stream that reads no further sends back the latest events beyond the share, and reads again."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, max_outstanding_events=50, delivery_concurrency=5) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, *(track("1", f"u{number}") for number in range(60)), timeout_s=600)
        await one.send(2, {"type": "unknown"})
        for request in await customerio.arrived(5):
            request.release(Reply(503))
        told = [await one.told(1, position) for position in range(10, 60)]
        assert {(each.status, each.code) for each in told} == {(503, "UPSTREAM_FAILED")}
        assert (await one.told(2)).status == 400


async def test_failures_that_came_together_count_as_one(connect: Connect) -> None:
    """Sixty requests that fail at once do not make for a pause of ten seconds."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, *(track("1", f"u{number}") for number in range(60)))
        requests = await customerio.arrived(60)
        customerio.rule = lambda _request: OK
        for request in requests:
            request.release(Reply(503))
        async with asyncio.timeout(8):
            assert {told.status for told in await one.told_all(1)} == {200}


async def test_answered_events_are_forgotten(connect: Connect) -> None:
    """Of forty batches on one stream nothing is kept once they are answered."""
    gc.collect()
    # Servers of other tests in this process may still end.
    others = {found for found in gc.get_objects() if type(found) is Job}
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        for batch_id in range(1, 41):
            await one.send(batch_id, *(track("1", f"u{number % 10}") for number in range(25)))
        for batch_id in range(1, 41):
            await one.told_all(batch_id)
        # Once another batch is answered, the server is through with those before it.
        await one.send(99, {"type": "unknown"})
        await one.told_all(99)
        gc.collect()
        kept = [found for found in gc.get_objects() if type(found) is Job and found not in others]
        assert kept == []


@pytest.mark.parametrize("seconds", [10**9, 315_576_000_000])
async def test_a_timeout_of_any_size_is_taken(connect: Connect, seconds: int) -> None:
    """Thirty years, or the largest Duration there is: the events are delivered."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        await one.send(1, track("1"), timeout_s=None)
        assert (await one.told(1)).status == 200
        message = v1.TransformStreamRequest()
        message.batch.batch_id = 2
        message.batch.destination = 1
        message.batch.items.add(json=json.dumps(track("2")).encode())
        message.batch.timeout.seconds = seconds
        await one.call.write(message)
        assert (await one.told(2)).status == 200


async def test_the_id_of_an_answered_batch_is_free_again(connect: Connect) -> None:
    """A caller that counts batches from 1 again is served, as long as no unanswered batch has the number."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        call, _ = await opened(stub, delivery=v1.DeliveryOptions())
        for _ in range(2):
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=7)))
            (results,) = await results_of(call, 7)
            assert list(results.statuses) == [200]
        call.cancel()


async def test_an_empty_batch_is_answered(connect: Connect) -> None:
    """With an empty, complete Results, also while others are in flight."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("1"))
        await one.send(2)
        assert await one.told_all(2) == []
        (request,) = await customerio.arrived(1)
        request.release()
        await one.finish()
        assert one.knows(1)


async def test_a_slow_person_does_not_hold_back_the_rest_of_a_batch(connect: Connect) -> None:
    """The others' results come while one is still out; each exactly once."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda request: HOLD if request.person == "u3" else OK
        await one.send(1, *(track("1", f"u{number}") for number in range(6)))
        for position in (0, 1, 2, 4, 5):
            assert (await one.told(1, position)).status == 200
        assert not one.knows(1, 3)
        (slow,) = [each for each in await customerio.arrived(6) if each.person == "u3"]
        slow.release()
        assert len(await one.told_all(1)) == 6


async def test_two_streams_have_limits_of_their_own(connect: Connect) -> None:
    """One that is stopped does not stop the other."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url, max_outstanding_events=1)
        async with caller(stub) as stopped, caller(stub) as other:
            customerio.rule = lambda request: HOLD if request.person == "u1" else OK
            await stopped.send(1, track("1", "u1"))
            await customerio.arrived(1)
            await stopped.send(2, {"type": "unknown"})
            for batch_id in range(1, 5):
                await other.send(batch_id, track("1", f"v{batch_id}"))
                assert (await other.told(batch_id)).status == 200
            assert not stopped.knows(2)


async def test_a_batch_without_events_is_outstanding_too() -> None:
    """A caller that sends empty batches and reads nothing is read no further than the limit."""
    others = batches()
    sidecar = Sidecar(Settings(listen=("127.0.0.1:0",), max_outstanding_events=100))
    (address,) = await sidecar.start()
    # So that few results are written to a caller that reads none.
    small_windows = [("grpc.http2.bdp_probe", 0)]
    try:
        async with aio.insecure_channel(address, options=small_windows) as channel:
            stub = v1.SidecarServiceStub(channel)
            call, _ = await opened(stub, delivery=v1.DeliveryOptions())
            for batch_id in range(1, 20_001):
                batch = v1.Batch(batch_id=batch_id, destination=1)
                await asyncio.wait_for(call.write(v1.TransformStreamRequest(batch=batch)), 60)
            kept = batches() - others
            call.cancel()
    finally:
        await sidecar.stop_at_once()
    assert len(kept) <= 101


def batches() -> set[DeliveryBatch]:
    """The batches of this process that are not freed. Servers of other tests in it may still end."""
    gc.collect()
    return {found for found in gc.get_objects() if type(found) is DeliveryBatch}
