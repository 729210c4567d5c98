"""Nobody's operations overtake each other, whoever they come by; everybody else's go at once."""

from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_transform.requests import BASE_URLS

from tests.conftest import Connect
from tests.delivery.caller import Caller, caller, delivering, group, identify, item, put, track
from tests.fake_customerio import HOLD, OK, Reply, fake_customerio

FAILING = Reply(503)
# Not to be tried again within any batch's time here: it comes back at once.
FAILING_FOR_LONG = Reply(503, headers={"Retry-After": "300"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (track("1"), track("2")),
        (
            identify("u1", email="a@b.example"),
            track("2", None, properties={"email": "A@b.example"}),
        ),
        (
            track("1", None, anonymousId="a1"),
            {"type": "identify", "userId": "u1", "anonymousId": "a1"},
        ),
        ({"type": "alias", "userId": "u1", "previousId": "u2"}, track("2", "u1")),
        ({"type": "alias", "userId": "u1", "previousId": "u2"}, track("2", "u2")),
        (group("u1", "acme"), track("2")),
        (group("u1", "acme"), group("u2", "acme")),
        (track("1"), group("u1", "acme")),
    ],
    ids=[
        "user id",
        "email",
        "anonymous id",
        "merge, primary",
        "merge, secondary",
        "group, then person",
        "one object",
        "person, then group",
    ],
)
async def test_one_after_the_other(
    connect: Connect, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Operations about one person or object: the later one is sent when the earlier one is answered."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, first)
        await customerio.arrived(1)
        await one.send(2, second, track("of somebody else", "u9"))
        # The stranger's overtakes them, so the second one had its chance to.
        requests = await customerio.arrived(2)
        assert [request.name for request in requests[1:]] == ["of somebody else"]
        for request in requests:
            request.release()
        await customerio.arrived(3)
        assert customerio.requests[2].beside == []
        customerio.requests[2].release()
        assert [told.status for told in await one.told_all(2)] == [200, 200]


async def test_a_phone_number_orders_where_it_addresses(connect: Connect) -> None:
    """Two events that only a phone number connects, for a destination that addresses people by it."""
    config = b'{"siteID": "site", "apiKey": "key", "apiVersion": "v2", "phoneAsIdentifier": true}'
    phone = {"context": {"traits": {"phone": "+15551234567"}}}
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, config) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("1", None, **phone))
        await customerio.arrived(1)
        await one.send(2, track("2", None, **phone), track("of somebody else", "u9"))
        requests = await customerio.arrived(2)
        assert [each["name"] for each in requests[1].items] == ["of somebody else"]
        for request in requests:
            request.release()
        (await customerio.arrived(3))[2].release()
        assert [told.status for told in await one.told_all(2)] == [200, 200]


async def test_a_retry_keeps_its_place(connect: Connect) -> None:
    """While an operation is tried again, the person's later ones wait."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(FAILING, Reply(429), Reply(500))
        await one.send(1, track("1"), track("2"), track("3"))
        told = await one.told_all(1)
        assert [each.delivery.attempts for each in told] == [4, 1, 1]
        assert customerio.names == ["1", "1", "1", "1", "2", "3"]
        assert customerio.most_at_once == 1


async def test_different_people_go_at_once_up_to_the_concurrency(connect: Connect) -> None:
    """As many requests are unanswered as the setting says, and not one more."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, delivery_concurrency=3) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, *(track("1", f"u{number}") for number in range(5)))
        for request in await customerio.arrived(3):
            request.release()
        for request in (await customerio.arrived(5))[3:]:
            request.release()
        assert [told.status for told in await one.told_all(1)] == [200] * 5
        assert customerio.most_at_once == 3


async def test_an_ordering_key_takes_the_persons_place(connect: Connect) -> None:
    """Items with one key wait for each other, whoever they are about; other items of the person do not."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(
            1,
            item(track("1", "u1"), ordering_key="k"),
            item(track("2", "u2"), ordering_key="k"),
            item(track("3", "u1"), ordering_key="other"),
            track("4", "u1"),
        )
        first = await customerio.arrived(3)
        assert sorted(request.name for request in first) == ["1", "3", "4"]
        for request in first:
            request.release()
        (await customerio.arrived(4))[3].release()
        await one.told_all(1)
        assert customerio.names[3:] == ["2"]


async def test_an_ordering_key_takes_the_place_of_a_prepared_requests_person(
    connect: Connect,
) -> None:
    """Prepared requests with one key wait for each other, and for no event of their person."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        url = f"{BASE_URLS['US']}/api/v1/customers/"
        await one.send(
            1,
            v1.BatchItem(prepared=put(url + "u1"), ordering_key="k"),
            v1.BatchItem(prepared=put(url + "u2"), ordering_key="k"),
            track("3", "u1"),
        )
        first = await customerio.arrived(2)
        assert sorted(request.name for request in first) == ["3", "PUT"]
        for request in first:
            request.release()
        last = (await customerio.arrived(3))[2]
        assert (last.person, last.beside) == ("u2", [])
        last.release()
        assert [told.status for told in await one.told_all(1)] == [200] * 3


async def test_what_waits_for_a_failure_is_blocked_by_it(connect: Connect) -> None:
    """503 BLOCKED with the place of the event that failed, and never sent, however long the chain."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda request: OK if request.person == "u9" else HOLD
        await one.send(7, track("other", "u9"), track("1"), track("2"))
        await one.send(8, track("3"))
        await _heard(one)
        (failing,) = [each for each in await customerio.arrived(2) if each.person == "u1"]
        failing.release(FAILING_FOR_LONG)
        told = [*await one.told_all(7), *await one.told_all(8)]
        assert [each.status for each in told] == [200, 503, 503, 503]
        assert [each.code for each in told] == ["", "UPSTREAM_FAILED", "BLOCKED", "BLOCKED"]
        assert [each.blocked_by for each in told] == [None, None, (7, 1), (7, 1)]
        assert told[2].detail.error.retryable
        assert sorted(customerio.names) == ["1", "other"]


async def test_a_final_refusal_releases_what_waits(connect: Connect) -> None:
    """After a 400 the person's next operation is sent."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(400))
        await one.send(1, track("1"), track("2"))
        assert [told.status for told in await one.told_all(1)] == [400, 200]
        assert customerio.names == ["1", "2"]


async def test_what_was_on_its_way_is_blocked_once(connect: Connect) -> None:
    """Events sent before the caller heard of a failure come back; sent again, in order, they pass."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda request: OK if request.person == "u9" else FAILING_FOR_LONG
        await one.send(1, track("1"))
        assert (await one.told(1)).status == 503
        await one.send(2, track("2"), track("of somebody else", "u9"))
        held, other = await one.told_all(2)
        assert (held.code, held.blocked_by, other.status) == ("BLOCKED", (1, 0), 200)
        customerio.answers()
        del customerio.requests[:]
        await one.send(3, track("1"), track("2"), track("3"))
        assert [told.status for told in await one.told_all(3)] == [200, 200, 200]
        assert customerio.names == ["1", "2", "3"]


async def test_a_failure_holds_back_its_own_destination_only(connect: Connect) -> None:
    """The same person's events for another workspace are delivered."""
    other = b'{"siteID": "other", "apiKey": "key"}'
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, b'{"siteID": "site", "apiKey": "key"}', other) as one,
    ):
        customerio.rule = lambda request: (
            OK if request.headers["authorization"] == "Basic b3RoZXI6a2V5" else FAILING_FOR_LONG
        )
        await one.send(1, track("1"))
        assert (await one.told(1)).status == 503
        await one.send(2, track("1"), track("2"), number=2)
        assert [told.status for told in await one.told_all(2)] == [200, 200]
        await one.send(3, track("2"), number=1)
        assert (await one.told(3)).blocked_by == (1, 0)


async def test_two_streams_keep_one_order(connect: Connect) -> None:
    """What one stream sends waits for what another one sent before, and is blocked by its failure."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub) as one, caller(stub) as other:
            customerio.rule = lambda _request: HOLD
            await one.send(1, track("1"))
            (first,) = await customerio.arrived(1)
            await other.send(1, track("2"))
            await _heard(other)
            assert len(customerio.requests) == 1
            first.release(FAILING_FOR_LONG)
            assert (await one.told(1)).code == "UPSTREAM_FAILED"
            blocked = await other.told(1)
            assert (blocked.code, blocked.blocked_by) == ("BLOCKED", None)
            assert (blocked.status, blocked.detail.error.retryable) == (503, True)
            assert "2" not in customerio.names


async def test_a_stream_that_goes_away_sends_nothing_more(connect: Connect) -> None:
    """Its request in flight still orders what is sent again; what it had not sent is not sent."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        customerio.rule = lambda _request: HOLD
        async with caller(stub) as gone:
            await gone.send(1, track("1"), track("2"), track("3"))
            (first,) = await customerio.arrived(1)
        async with caller(stub) as one:
            await one.send(1, track("1"), track("2"), track("of somebody else", "u9"))
            requests = await customerio.arrived(2)
            assert requests[1].name == "of somebody else"
            customerio.rule = lambda _request: OK
            requests[1].release()
            first.release(FAILING)  # nobody is there to try it again for
            assert [told.status for told in await one.told_all(1)] == [200, 200, 200]
            assert customerio.names == ["1", "of somebody else", "1", "2"]


async def test_an_expired_event_keeps_its_place(connect: Connect) -> None:
    """An event whose time is over while an earlier one is in flight does not let its resend overtake that."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("1"))
        (first,) = await customerio.arrived(1)
        await one.send(2, track("2"), timeout_s=0.01)
        expired = await one.told(2)
        assert (expired.status, expired.code) == (504, "UPSTREAM_TIMEOUT")
        await one.send(3, track("2"), track("of somebody else", "u9"))
        requests = await customerio.arrived(2)
        assert requests[1].name == "of somebody else"
        customerio.rule = lambda _request: OK
        requests[1].release()
        first.release()
        assert (await one.told(3)).status == 200
        assert customerio.names == ["1", "of somebody else", "2"]


async def test_a_blocked_merge_keeps_the_other_persons_place(connect: Connect) -> None:
    """A merge that one person's failure blocks still lets nobody overtake the other person's request."""
    merge = {"type": "alias", "userId": "u1", "previousId": "u2"}
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("of u1", "u1"))
        (failing,) = await customerio.arrived(1)
        await one.send(2, track("of u2", "u2"))
        in_flight = (await customerio.arrived(2))[1]
        await one.send(3, merge)
        await _heard(one)
        failing.release(FAILING_FOR_LONG)
        assert (await one.told(3)).blocked_by == (1, 0)
        sent = len(customerio.requests)
        await one.send(4, merge, track("of somebody else", "u9"))
        requests = await customerio.arrived(sent + 1)
        assert [request.name for request in requests[sent:]] == ["of somebody else"]
        in_flight.release()
        merged = (await customerio.arrived(sent + 2))[-1]
        assert merged.path == "/api/v1/merge_customers"


async def test_an_event_that_comes_too_late_is_not_sent(connect: Connect) -> None:
    """With no time at all an event comes back as 504, and Customer.io sees nothing of it."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        await one.send(1, *(track("late", f"u{number}") for number in range(200)), timeout_s=0)
        told = await one.told_all(1)
        assert {(each.status, each.code) for each in told} == {(504, "UPSTREAM_TIMEOUT")}
        await one.send(2, track("in time", "u999"))
        await one.told(2)
        assert customerio.names == ["in time"]


async def _heard(one: Caller) -> None:
    """Returns once the server has taken what was sent before: it answers in order of arrival."""
    await one.send(99, {"type": "unknown"})
    assert (await one.told(99)).status == 400


async def test_results_come_in_the_persons_order(connect: Connect) -> None:
    """A caller that is cut off between two results resends what it knows nothing of: never an event before a known one."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        # Results that come within 5 ms share a pass, in most rounds.
        for turn in range(30):
            customerio.rule = lambda request: OK if request.name == "second" else HOLD
            earlier, later = 2 * turn + 1, 2 * turn + 2
            await one.send(earlier, track("first", f"u{turn}"), track("slow", f"v{turn}"))
            await one.send(later, track("other", f"w{turn}"), track("second", f"u{turn}"))
            requests = await customerio.arrived(4 * turn + 3)
            held = {request.name: request for request in requests[4 * turn :]}
            for name in ("other", "first"):
                held[name].release()
            await one.told(later, 1)
            held["slow"].release()
            await one.told_all(earlier)
    results = [
        (message.batch_id, position)
        for message in one.messages
        for position in (
            message.positions
            or range(message.first_position, message.first_position + len(message.statuses))
        )
    ]
    for turn in range(30):
        assert results.index((2 * turn + 1, 0)) < results.index((2 * turn + 2, 1))
