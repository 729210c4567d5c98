"""A workspace that is throttled: it pauses for as long as it is asked to, and otherwise slows down."""

import asyncio
import time

from ciosidecar_server.delivery.endpoints import TrackApiEndpoints
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.rate_limiter import SendLimits
from ciosidecar_server.delivery.slots import Slots
from ciosidecar_server.delivery.workspace_queue import WorkspaceQueue
from ciosidecar_transform.requests import BASE_URLS, Request, RequestTemplate

from tests.conftest import Connect
from tests.delivery.caller import CONFIG, caller, delivering, track
from tests.delivery.message import Message
from tests.delivery.moved_clock import MovedClock
from tests.delivery.sending import transport
from tests.fake_customerio import HOLD, OK, WITHIN_S, Received, Reply, fake_customerio

OTHER = b'{"siteID": "other", "apiKey": "key"}'
OTHERS_KEY = "Basic b3RoZXI6a2V5"
LIMITS = SendLimits(rate_per_s=500, concurrency=50, request_timeout_s=10, linger_s=0.005)
TEMPLATE = RequestTemplate("PUT", BASE_URLS["US"], "v1/customers", {"Authorization": "Basic eA=="})
STEP_S = 0.005
"""By so much a test moves its clock at a time."""


def paused_for(seconds: int) -> Reply:
    return Reply(429, headers={"Retry-After": str(seconds)})


async def test_retry_after_pauses_the_workspace_and_one_request_tries_then(
    connect: Connect,
) -> None:
    """Nothing is sent until the time is over, and then one request, until that is answered."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG, OTHER, delivery_concurrency=5) as one,
    ):
        customerio.rule = lambda request: (
            OK if request.headers["authorization"] == OTHERS_KEY else HOLD
        )
        await one.send(1, *(track("1", f"u{number}") for number in range(30)))
        for request in await customerio.arrived(5):
            request.release(paused_for(2))
        released_at = time.monotonic()
        trial = (await customerio.arrived(6))[5]
        assert time.monotonic() - released_at > 1.9
        # What goes to somebody else arrives after whatever was sent before it.
        await one.send(2, track("1"), number=2)
        assert (await one.told(2)).status == 200
        assert trial.beside == []
        assert len(customerio.requests) == 7
        customerio.rule = lambda _request: OK
        trial.release()
        assert {told.status for told in await one.told_all(1)} == {200}


async def test_a_trial_that_is_throttled_pauses_it_again(connect: Connect) -> None:
    """Of many events that wait, one request a pause is sent."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, delivery_concurrency=1) as one,
    ):
        customerio.rule = lambda _request: paused_for(1)
        await one.send(1, *(track("1", f"u{number}") for number in range(30)), timeout_s=3.5)
        told = await one.told_all(1)
        assert {(each.status, each.code) for each in told} == {(429, "THROTTLED")}
        assert 2 <= len(customerio.requests) <= 4


async def test_what_was_sent_before_the_pause_does_not_end_it(connect: Connect) -> None:
    """A success that was on its way already says nothing of the pause."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("1", "u1"), timeout_s=9)
        await one.send(2, track("1", "u2"), timeout_s=15)
        first, second = await customerio.arrived(2)
        first.release(paused_for(10))
        assert (await one.told(1)).code == "THROTTLED"
        second.release()
        assert (await one.told(2)).status == 200
        await one.send(3, track("1", "u3"), timeout_s=5)
        assert (await one.told(3)).code == "THROTTLED"
        assert len(customerio.requests) == 2


async def test_what_cannot_outwait_the_pause_comes_back_at_once(connect: Connect) -> None:
    """What waits and what comes: 429 with the time that is left, and never sent. What has the time waits."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, delivery_concurrency=1) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("1", "u1"), timeout_s=15)
        (request,) = await customerio.arrived(1)
        await one.send(2, track("1", "u2"), timeout_s=15)
        await one.send(3, track("1", "u3"), timeout_s=200)
        # What is refused is answered at once, and after what came before it.
        await one.send(4, {"type": "unknown"})
        await one.told(4)
        async with asyncio.timeout(5):
            request.release(paused_for(30))
            for batch_id, attempts in ((1, 1), (2, 0)):
                told = await one.told(batch_id)
                assert (told.status, told.code) == (429, "THROTTLED")
                assert told.delivery.attempts == attempts
                assert 28 < (told.retry_after_s or 0) <= 30
            await one.send(5, track("1", "u5"), timeout_s=15)
            told = await one.told(5)
            assert (told.status, told.code, told.delivery.attempts) == (429, "THROTTLED", 0)
        assert not one.knows(3)
        assert len(customerio.requests) == 1


async def test_everything_throttled_is_asked_little() -> None:
    """Three seconds of nothing but 429: the rate falls to its floor within the first and a half, and stays there."""
    clock = MovedClock()
    began = clock.time()
    arrived_at: list[float] = []

    def throttle(_request: Received) -> Reply:
        arrived_at.append(clock.time())
        return Reply(429)

    async with fake_customerio() as customerio, transport() as to:
        customerio.rule = throttle
        queue = WorkspaceQueue(
            customerio.url, to, TrackApiEndpoints(customerio.url), LIMITS, Slots(100), clock
        )
        messages = [Message() for _ in range(900)]
        for number, message in enumerate(messages):
            request = Request(TEMPLATE, f"/api/v1/customers/u{number}", b"{}")
            queue.submit([Job(request, (f"u{number}",), began + 3, message, 0)])
        while clock.time() < began + 3:
            await _all_answered(queue)
            clock.move(STEP_S)
        await _all_answered(queue)
        waiting = [message for message in messages if not message.outcome.done()]
        assert {
            message.outcome.result().status for message in messages if message not in waiting
        } <= {429}
        await queue.aclose()
    late = [moment for moment in arrived_at if moment > arrived_at[0] + 1.5]
    # At the floor, 25 a second; at the full rate it would be 750.
    assert 10 < len(late) < 75


async def _all_answered(queue: WorkspaceQueue) -> None:
    """Wait until what may be sent is sent, and no request is under way."""
    async with asyncio.timeout(WITHIN_S):
        await asyncio.sleep(0)
        while queue.snapshot().requests_in_flight:  # noqa: ASYNC110 - the queue's state
            await asyncio.sleep(0)


async def test_a_pause_holds_for_every_stream(connect: Connect) -> None:
    """It is the workspace's, whoever sends to it."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub) as one, caller(stub) as other:
            customerio.rule = lambda _request: paused_for(60)
            await one.send(1, track("1", "u1"))
            await one.told(1)
            await other.send(1, track("1", "u2"))
            assert (await other.told(1)).code == "THROTTLED"
            assert len(customerio.requests) == 1


async def test_an_event_that_failed_before_a_pause_comes_back_with_its_own_failure(
    connect: Connect,
) -> None:
    """Its time ends before the pause does; its status is that of its own response, its `retry_after` that of the pause."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("failed", "u1"))
        await one.send(2, track("throttled", "u2"))
        first, second = sorted(await customerio.arrived(2), key=lambda request: request.person)
        first.release(Reply(503, headers={"Retry-After": "10"}))
        # An event of the same person that does not wait comes back with the failure.
        await one.send(3, track("behind", "u1"), timeout_s=1)
        assert (await one.told(3)).code == "UPSTREAM_TIMEOUT"
        second.release(paused_for(100))
        told = await one.told(1)
        assert (told.status, told.delivery.http_status, told.delivery.attempts) == (503, 503, 1)
        assert told.retry_after_s is not None
        assert told.retry_after_s > 50
        assert (await one.told(2)).status == 429
