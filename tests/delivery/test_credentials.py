"""Credentials that Customer.io does not accept: the destination pauses, and one request at a time asks again."""

import asyncio

import pytest

from tests.conftest import Connect
from tests.delivery.caller import CONFIG_V2, Told, delivering, group, track
from tests.fake_customerio import HOLD, OK, Reply, fake_customerio

REFUSED = Reply(401, b'{"meta": {"error": "Unauthorized request"}}')


@pytest.mark.parametrize("status", [401, 403])
async def test_everything_that_waits_comes_back(connect: Connect, status: int) -> None:
    """503 CREDENTIALS_REFUSED for what was sent and for what was not; Customer.io saw one request."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(status, REFUSED.body), then=OK)
        await one.send(1, *(track(str(number)) for number in range(5)))
        told = await one.told_all(1)
        assert {(each.status, each.code) for each in told} == {(503, "CREDENTIALS_REFUSED")}
        assert all(each.detail.error.retryable for each in told)
        assert [each.delivery.http_status for each in told] == [status, 0, 0, 0, 0]
        assert told[0].delivery.reason == "Unauthorized request"
        await one.send(2, track("of somebody else", "u9"))
        paused = await one.told(2)
        assert (paused.code, paused.delivery.attempts) == ("CREDENTIALS_REFUSED", 0)
        assert len(customerio.requests) == 1


async def test_a_batch_is_refused_whole(connect: Connect) -> None:
    """A 401 is nobody's fault in particular: it is not halved."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        customerio.answers(REFUSED)
        await one.send(1, *(group(f"u{number}", "g") for number in range(4)))
        assert {told.code for told in await one.told_all(1)} == {"CREDENTIALS_REFUSED"}
        assert len(customerio.requests) == 1


async def test_other_destinations_go_on(connect: Connect) -> None:
    """The pause is of one destination."""
    good = b'{"siteID": "other", "apiKey": "key"}'
    bad = b'{"siteID": "site", "apiKey": "key"}'
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, bad, good) as one,
    ):
        customerio.rule = lambda request: (
            OK if request.headers["authorization"] == "Basic b3RoZXI6a2V5" else REFUSED
        )
        await one.send(1, track("1"), number=1)
        assert (await one.told(1)).code == "CREDENTIALS_REFUSED"
        await one.send(2, track("1"), number=2)
        assert (await one.told(2)).status == 200


async def test_one_request_asks_again_when_the_pause_is_over(connect: Connect) -> None:
    """After the time that Retry-After names one event goes, the others come back until it is answered."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(REFUSED, then=HOLD)
        await one.send(1, track("1"))
        await _over(await one.told(1))
        await one.send(2, *(track("again", f"v{number}") for number in range(10)))
        (_, probe) = await customerio.arrived(2)
        # Nine come back at once; the one that was sent is still out.
        await asyncio.gather(*(one.told(2, position) for position in range(1, 10)))
        assert not one.knows(2, 0)
        customerio.rule = lambda _request: OK
        probe.release()
        told = await one.told_all(2)
        assert [each.code for each in told] == ["", *["CREDENTIALS_REFUSED"] * 9]
        await one.send(3, *(track("again", f"v{number}") for number in range(1, 10)))
        assert {each.status for each in await one.told_all(3)} == {200}


async def test_the_pause_grows_with_each_refusal_not_with_each_request(connect: Connect) -> None:
    """Many requests that were on their way together count as one; a probe's refusal doubles the pause."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, *(track("1", f"u{number}") for number in range(20)))
        for request in await customerio.arrived(20):
            request.release(REFUSED)
        told = await one.told_all(1)
        pauses_s = [each.retry_after_s or 0.0 for each in told]
        assert max(pauses_s) <= 1.0
        customerio.rule = lambda _request: REFUSED
        await _over(told[pauses_s.index(max(pauses_s))])
        await one.send(2, track("1", "u0"))
        assert 1.5 < ((await one.told(2)).retry_after_s or 0.0) <= 2.0


async def test_a_probe_that_ends_without_a_response_is_followed_by_another(
    connect: Connect,
) -> None:
    """The event that asks again runs out of time; the next one asks in its place."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(REFUSED, HOLD, then=OK)
        await one.send(1, track("refused"))
        await _over(await one.told(1))
        await one.send(2, track("unanswered", "u2"), timeout_s=0.5)
        assert (await one.told(2)).code == "UPSTREAM_TIMEOUT"
        await one.send(3, track("next", "u3"))
        assert (await one.told(3)).status == 200
        assert customerio.names == ["refused", "unanswered", "next"]


async def _over(told: Told) -> None:
    """Waits as long as a result asks to, which it says in whole milliseconds."""
    assert told.retry_after_s is not None
    await asyncio.sleep(told.retry_after_s + 0.001)
