"""Requests that carry many events: who is refused, who is not, and finding the culprit."""

import json
from typing import Any

import pytest
from ciosidecar import v1

from tests.conftest import Connect, batch, opened, results_of
from tests.delivery.caller import CONFIG, CONFIG_V2, delivering, group, identify, item, track
from tests.fake_customerio import (
    HOLD,
    OK,
    Answer,
    Received,
    Reply,
    fake_customerio,
)

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
API_VERSIONS = pytest.mark.parametrize("config", [CONFIG, CONFIG_V2], ids=["v1", "v2"])


def groups(number: int) -> list[dict[str, Any]]:
    """Group events of different people and objects: in either API version they share requests."""
    return [group(f"u{position}", f"g{position}") for position in range(number)]


def errors(status: int, *listed: Any) -> Reply:
    return Reply(status, json.dumps({"errors": listed}).encode())


@API_VERSIONS
@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize("index", [1, "1", 1.0], ids=["number", "text", "1.0"])
async def test_only_the_named_item_fails(
    connect: Connect, config: bytes, status: int, index: object
) -> None:
    """400 with Customer.io's reason for the one it names; the others are delivered."""
    async with fake_customerio() as customerio, delivering(connect, customerio, config) as one:
        customerio.answers(errors(status, {"batch_index": index, "reason": "bad", "field": "x"}))
        await one.send(1, *groups(3))
        told = await one.told_all(1)
        assert [each.status for each in told] == [200, 400, 200]
        refused = told[1]
        assert (refused.code, refused.delivery.http_status) == ("REFUSED", status)
        assert (refused.delivery.reason, refused.delivery.field) == ("bad", "x")
        assert [each.warnings for each in told] == [[], [], []]
        assert len(customerio.requests) == 1


@pytest.mark.parametrize(
    "listed",
    [
        [{"batch_index": 3, "reason": "out of range"}],
        [{"batch_index": 99_999_999_999}],
        [{"batch_index": "-1"}],
        [{"reason": "of none"}],
        [None],
        ["text"],
    ],
    ids=["out of range", "vast", "negative", "no index", "null", "text"],
)
async def test_an_error_of_no_item_is_a_warning(connect: Connect, listed: list[Any]) -> None:
    """What cannot be charged to an item is told to all of them; they count as taken."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(errors(207, *listed))
        await one.send(1, *groups(3))
        told = await one.told_all(1)
        assert [each.status for each in told] == [200, 200, 200]
        assert [each.warnings for each in told] == [["UNATTRIBUTED_ERROR"]] * 3


async def test_an_item_named_twice_fails_once(connect: Connect) -> None:
    """With what was said of it first, beside entries that say nothing."""
    listed = [{"batch_index": 0, "reason": "first"}, None, {"batch_index": "0", "reason": "second"}]
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(errors(207, *listed))
        await one.send(1, *groups(2))
        told = await one.told_all(1)
        assert [each.status for each in told] == [400, 200]
        assert told[0].delivery.reason == "first"
        assert told[1].warnings == ["UNATTRIBUTED_ERROR"]


def refusing(status: int, *culprits: str) -> Any:
    """Refuses a batch with one of these groups in it, as a whole."""

    def rule(request: Received) -> Answer:
        there = {each["identifiers"]["object_id"] for each in request.items}
        return errors(status, {"reason": "bad"}) if there & set(culprits) else OK

    return rule


@API_VERSIONS
@pytest.mark.parametrize("status", [400, 413])
async def test_a_refused_batch_is_halved_until_the_culprit_stands_alone(
    connect: Connect, config: bytes, status: int
) -> None:
    """Of sixteen two are refused; the others are delivered, each once, one request at a time."""
    async with fake_customerio() as customerio, delivering(connect, customerio, config) as one:
        customerio.rule = refusing(status, "g3", "g12")
        await one.send(1, *groups(16))
        told = await one.told_all(1)
        assert [position for position, each in enumerate(told) if each.status != 200] == [3, 12]
        assert {told[position].status for position in (3, 12)} == {status}
        assert told[3].delivery.reason == "bad"
        taken = [
            each["identifiers"]["object_id"]
            for request in customerio.requests
            if not {"g3", "g12"} & {each["identifiers"]["object_id"] for each in request.items}
            for each in request.items
        ]
        assert sorted(taken) == sorted(
            f"g{number}" for number in range(16) if number not in (3, 12)
        )
        # 16 → 8, 8 → 4, 4 of each → 2, 2 → 1, 1
        assert len(customerio.requests) == 1 + 2 * 7
        assert customerio.most_at_once == 1


async def test_halving_keeps_everyones_order(connect: Connect) -> None:
    """A person's operations are sent in order also where a refused batch holds several of them."""
    events = [identify(f"u{number % 3}", step=number) for number in range(12)]
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        customerio.rule = lambda request: (
            errors(400) if any(each["attributes"]["step"] == 5 for each in request.items) else OK
        )
        await one.send(1, *events)
        told = await one.told_all(1)
        assert [each.status for each in told] == [
            400 if number == 5 else 200 for number in range(12)
        ]
        taken = [
            (each["identifiers"]["id"], each["attributes"]["step"])
            for request in customerio.requests
            if all(each["attributes"]["step"] != 5 for each in request.items)
            for each in request.items
        ]
        for user in ("u0", "u1", "u2"):
            steps = [step for person, step in taken if person == user]
            assert steps == sorted(steps)
        assert len(taken) == 11


async def test_one_person_fills_one_request_in_order(connect: Connect) -> None:
    """Operations of one person travel in one batch, and what is refused of it holds nobody back."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        customerio.answers(errors(207, {"batch_index": 0, "reason": "bad"}))
        await one.send(1, *(track(str(number)) for number in range(5)))
        assert [told.status for told in await one.told_all(1)] == [400, 200, 200, 200, 200]
        (request,) = customerio.requests
        assert [each["name"] for each in request.items] == ["0", "1", "2", "3", "4"]


async def test_what_waits_for_another_request_too_does_not_come_along(connect: Connect) -> None:
    """A merge of two people waits for both, although one of them is in the request that is being filled."""
    merge = {"type": "alias", "userId": "u1", "previousId": "u2"}
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, item(track("alone", "u2"), dont_batch=True))
        await customerio.arrived(1)
        await one.send(2, track("shared", "u1"), merge)
        first, second = await customerio.arrived(2)
        assert [each["name"] for each in second.items] == ["shared"]
        second.release()
        assert (await one.told(2)).status == 200
        first.release()
        third = (await customerio.arrived(3))[2]
        assert ([each["action"] for each in third.items], third.beside) == (["merge"], [])
        third.release()
        assert (await one.told(2, 1)).status == 200


async def test_a_batch_is_tried_again_as_a_whole(connect: Connect) -> None:
    """After a failure for now the same items are sent, and all count the attempts."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        customerio.answers(Reply(503))
        await one.send(1, *groups(5))
        told = await one.told_all(1)
        assert [(each.status, each.delivery.attempts) for each in told] == [(200, 2)] * 5
        assert customerio.requests[0].body == customerio.requests[1].body


async def test_dont_batch_stands_alone(connect: Connect) -> None:
    """Its request covers no other item."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        alone = item(track("alone", "u9"), dont_batch=True)
        await one.send(1, track("1", "u1"), alone, track("2", "u2"))
        await one.told_all(1)
        found = sorted([each["name"] for each in request.items] for request in customerio.requests)
        assert found == [["1", "2"], ["alone"]]


async def test_a_batch_holds_a_thousand_operations(connect: Connect) -> None:
    """1,001 make two requests, and not one is lost."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        await one.send(1, *(track(str(number), f"u{number}") for number in range(1001)))
        assert {told.status for told in await one.told_all(1)} == {200}
        sizes = [len(request.items) for request in customerio.requests]
        assert sum(sizes) == 1001
        assert max(sizes) <= 1000


async def test_the_id_of_an_answered_batch_may_be_used_again(connect: Connect) -> None:
    """An id must be unused among the unanswered batches of the stream only."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        call, _ = await opened(stub, delivery=v1.DeliveryOptions())
        for _ in range(2):
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=7)))
            (results,) = await results_of(call, 7)
            assert list(results.statuses) == [200]
        call.cancel()


async def test_items_of_two_workspaces_share_no_request(connect: Connect) -> None:
    """However they alternate in a batch: each goes with the credentials of its own, and in order there."""
    other = CONFIG_V2.replace(b'"site"', b'"other"')
    async with fake_customerio() as customerio:
        async with delivering(connect, customerio, CONFIG_V2, other) as one:
            items = [item(track(str(n), f"u{n}"), destination=n % 2 + 1) for n in range(6)]
            await one.send(1, *items)
            assert [each.status for each in await one.told_all(1)] == [200] * 6
        names = {
            request.headers["authorization"]: [each["name"] for each in request.items]
            for request in customerio.requests
        }
        assert sorted(names.values()) == [["0", "2", "4"], ["1", "3", "5"]]
        assert len(names) == len(customerio.requests) == 2
