"""Answers that do not say what was taken: nothing is lost, and nothing counts twice."""

import json
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server.delivery.idempotence import is_idempotent
from ciosidecar_transform.requests import Request, SharedItem, endpoints

from tests.conftest import Connect
from tests.delivery.caller import AUTHORIZATION, CONFIG_V2, delivering, group, identify, track
from tests.fake_customerio import OK, Answer, Received, Reply, fake_customerio

NO_IDS = b'{"siteID": "site", "apiKey": "a-secret-key", "apiVersion": "v2", "eventIds": "none"}'
SOMETHING_WAS_REFUSED = Reply(207, b"<html>Multi-Status</html>")


def refusing(*people: str) -> Any:
    """Answers 207, without saying whom, to requests that hold one of these people."""

    def rule(request: Received) -> Answer:
        there = {each["identifiers"]["id"] for each in request.items}
        return SOMETHING_WAS_REFUSED if there & set(people) else OK

    return rule


async def test_what_is_refused_is_found_by_halves(connect: Connect) -> None:
    """All but the culprit are delivered; it comes back retryable, for nobody knows that it is refused for good."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        customerio.rule = refusing("u3")
        events = [track(str(n), f"u{n}", messageId=f"m{n}") for n in range(10)]
        await one.send(1, *events, timeout_s=8)
        told = await one.told_all(1)
        assert [each.status for each in told] == [503 if n == 3 else 200 for n in range(10)]
        assert told[3].detail.error.retryable
        assert told[3].delivery.http_status == 207
        sizes = [len(request.items) for request in customerio.requests]
        assert sizes[0] == 10
        assert sizes.count(10) == 1


@pytest.mark.parametrize("status", [201, 206, 208, 226])
async def test_what_no_customerio_answers_is_sent_again_as_it_was(
    connect: Connect, status: int
) -> None:
    """Only a 207 says that some item was refused: any other request is not taken apart."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2) as one,
    ):
        customerio.answers(Reply(status))
        await one.send(1, *(track(str(n), f"u{n}", messageId=f"m{n}") for n in range(4)))
        told = await one.told_all(1)
        assert [(each.status, each.delivery.attempts) for each in told] == [(200, 2)] * 4
        assert [len(request.items) for request in customerio.requests] == [4, 4]


async def test_events_without_an_id_are_not_repeated(connect: Connect) -> None:
    """They are told that they may not have been taken, while what they shared a request with is sent again."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, NO_IDS) as one,
    ):
        customerio.answers(SOMETHING_WAS_REFUSED)
        await one.send(1, track("1", "u1"), identify("u2", plan="x"), track("2", "u3"))
        told = await one.told_all(1)
        assert [(each.status, each.warnings) for each in told] == [
            (200, ["UNATTRIBUTED_ERROR"]),
            (200, []),
            (200, ["UNATTRIBUTED_ERROR"]),
        ]
        first, again = customerio.requests
        assert [each["action"] for each in first.items] == ["event", "identify", "event"]
        assert [each["action"] for each in again.items] == ["identify"]


@pytest.mark.parametrize(
    ("with_ids", "status", "requests"), [(True, 200, 2), (False, 200, 1)], ids=["ids", "no ids"]
)
async def test_a_prepared_batch_is_repeated_if_all_of_it_may_be(
    connect: Connect, with_ids: bool, status: int, requests: int
) -> None:
    """Whole; else it comes back with the warning."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(SOMETHING_WAS_REFUSED)
        item = {"type": "person", "action": "event", "identifiers": {"id": "u1"}, "name": "x"}
        items = [{"type": "person", "action": "identify", "identifiers": {"id": "u1"}}, item]
        if with_ids:
            item["id"] = "01J000000000000000000000AA"
        prepared = v1.PreparedRequest(
            method="POST",
            url="https://track.customer.io/api/v2/batch",
            endpoint_path="v2/batch",
            headers={"Authorization": AUTHORIZATION},
            body=json.dumps({"batch": items}).encode(),
        )
        await one.send(1, v1.BatchItem(prepared=prepared))
        told = await one.told(1)
        assert told.status == status
        assert told.warnings == ([] if with_ids else ["UNATTRIBUTED_ERROR"])
        assert len(customerio.requests) == requests


async def test_it_counts_against_the_workspace(connect: Connect) -> None:
    """A workspace of which no answer says what it accepted is asked one request at a time."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2, delivery_rate=1000) as one,
    ):
        customerio.rule = lambda _request: Reply(202)
        for n in range(40):
            await one.send(n + 1, group(f"u{n}", f"g{n}"), timeout_s=2)
        for n in range(40):
            assert (await one.told(n + 1)).code in ("UPSTREAM_FAILED", "UPSTREAM_TIMEOUT")
        asked = len(customerio.requests)
        customerio.rule = lambda _request: OK
        await one.send(99, group("u", "g"))
        assert (await one.told(99)).status == 200
        assert asked < 80


ENDPOINTS = endpoints("https://track.customer.io", "site", "key")


@pytest.mark.parametrize(
    ("item", "may_be"),
    [
        ({"type": "person", "action": "identify"}, True),
        ({"type": "person", "action": "event", "id": "01J"}, True),
        ({"type": "person", "action": "event"}, False),
        ({"type": "person", "action": "event", "id": ""}, False),
        ({"type": "person", "action": "page"}, False),
        ({"type": "person", "action": "merge"}, True),
        ({"type": "person", "action": "of tomorrow"}, False),
        ({"type": "object", "action": "identify_anonymous"}, True),
        ({"type": "delivery", "action": "event", "id": "01J"}, False),
        ([], False),
    ],
    ids=str,
)
def test_which_items_of_v2_may_be_sent_twice(item: Any, may_be: bool) -> None:
    """States, and events with an id; alone or in a batch of the caller's own making."""
    body = json.dumps(item).encode()
    assert is_idempotent(SharedItem(ENDPOINTS.batch, "/api/v2/batch", body)) is may_be
    assert is_idempotent(Request(ENDPOINTS.batch, "/api/v2/entity", body)) is may_be
    batch = b'{"batch": [{"type": "person", "action": "identify"}, %b]}' % body
    assert is_idempotent(Request(ENDPOINTS.batch, "/api/v2/batch", batch)) is may_be


@pytest.mark.parametrize(
    ("endpoint", "path", "body", "may_be"),
    [
        (ENDPOINTS.identify, "/api/v1/customers/events", b"{}", True),
        (ENDPOINTS.delete_person, "/api/v1/customers/u", b"", True),
        (ENDPOINTS.event, "/api/v1/customers/u/events", b'{"id": "01J"}', True),
        (ENDPOINTS.event, "/api/v1/customers/u/events", b"{}", False),
        (ENDPOINTS.event, "/api/v1/customers/u/events", b"[", False),
        (ENDPOINTS.anonymous_event, "/api/v1/events?id=1", b"{}", False),
        (ENDPOINTS.anonymous_event, "/api/v1/events", b'{"id": "01J"}', True),
        (ENDPOINTS.merge, "/api/v1/merge_customers", b"{}", True),
        (ENDPOINTS.suppress, "/api/v1/customers/u/suppress", b"", True),
        (ENDPOINTS.unsuppress, "/api/v1/customers/u/unsuppress", b"", True),
        (ENDPOINTS.segment, "/api/v1/segments/1/add_customers?id_type=id", b"{}", True),
        (ENDPOINTS.metrics, "/api/v1/metrics", b'{"id": "x"}', False),
        (ENDPOINTS.metrics, "/api/v1/forms/f/submit", b'{"id": "x"}', False),
    ],
)
def test_which_calls_of_v1_may_be_sent_twice(
    endpoint: Any, path: str, body: bytes, may_be: bool
) -> None:
    """What only sets a state, and events with an id."""
    assert is_idempotent(Request(endpoint, path, body)) is may_be
