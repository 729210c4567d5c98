"""A request of its own, and what its event is told of the answer."""

import json

import pytest
from ciosidecar import v1
from ciosidecar_server.delivery.transport import MAX_RESPONSE_BYTES

from tests.conftest import Connect
from tests.delivery.caller import caller, delivering, identify, item, track
from tests.fake_customerio import GONE, HOLD, Answer, Raw, Reply, fake_customerio

FOR_LONG = {"Retry-After": "300"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b""),
        Reply(200, b"{}"),
        Reply(200, b"<html>fine</html>"),
        Reply(200, b'{"errors": []}'),
        Reply(204, b""),
    ],
    ids=["empty", "object", "HTML", "no errors", "204"],
)
async def test_taken(connect: Connect, reply: Reply) -> None:
    """200 and 204, whatever the body, are 200."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(reply)
        await one.send(1, track("1"))
        told = await one.told(1)
        assert (told.status, told.code) == (200, "")
        assert (told.delivery.attempts, told.delivery.http_status) == (1, reply.status)


@pytest.mark.parametrize("status", [200, 207])
async def test_a_200_that_lists_an_error_refuses(connect: Connect, status: int) -> None:
    """With one item in the request the error can be about nothing else."""
    body = b'{"errors": [{"batch_index": 7, "reason": "invalid", "field": "id"}]}'
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(status, body))
        await one.send(1, track("1"))
        told = await one.told(1)
        assert (told.status, told.code, told.delivery.http_status) == (400, "REFUSED", status)
        assert (told.delivery.reason, told.delivery.field) == ("invalid", "id")
        assert not told.detail.error.retryable


@pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        (
            {"errors": [{"reason": "invalid", "field": "id", "message": "long"}]},
            "invalid: long",
            "id",
        ),
        ({"meta": {"error": "one"}}, "one", ""),
        ({"meta": {"errors": ["one", "two"]}}, "one; two", ""),
        ({"errors": [{"detail": "one"}]}, "one", ""),
        ("no object", "", ""),
    ],
    ids=["v2", "v1, one", "v1, several", "detail", "unreadable"],
)
async def test_a_refusal_says_why(
    connect: Connect, status: int, body: object, reason: str, field: str
) -> None:
    """Its own 4xx, final, with Customer.io's words, and sent once."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(status, json.dumps(body).encode()))
        await one.send(1, track("1"))
        told = await one.told(1)
        assert (told.status, told.code, told.detail.error.retryable) == (status, "REFUSED", False)
        assert (told.delivery.reason, told.delivery.field) == (reason, field)
        assert len(customerio.requests) == 1


@pytest.mark.parametrize(
    ("http_status", "status", "code"),
    [
        (408, 408, "UPSTREAM_TIMEOUT"),
        (425, 503, "THROTTLED"),
        (429, 429, "THROTTLED"),
        (500, 500, "UPSTREAM_FAILED"),
        (502, 502, "UPSTREAM_FAILED"),
        (503, 503, "UPSTREAM_FAILED"),
        (504, 504, "UPSTREAM_FAILED"),
        (522, 522, "UPSTREAM_FAILED"),
        (524, 524, "UPSTREAM_FAILED"),
        (302, 503, "UPSTREAM_FAILED"),
    ],
)
async def test_a_failure_for_now_keeps_its_status(
    connect: Connect, http_status: int, status: int, code: str
) -> None:
    """Where the time does not reach for another try it comes back retryable, with the real status."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(http_status, b'{"meta": {"error": "busy"}}', FOR_LONG))
        await one.send(1, track("1"))
        told = await one.told(1)
        assert (told.status, told.code, told.detail.error.retryable) == (status, code, True)
        assert (told.delivery.http_status, told.delivery.reason) == (http_status, "busy")
        assert told.retry_after_s == 300
        assert len(customerio.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [Reply(429), Reply(503), Reply(502, b"<html>"), Reply(425), GONE, Raw(b"garbage\r\n\r\n")],
    ids=["429", "503", "HTML", "425", "closed", "not HTTP"],
)
async def test_a_failure_for_now_is_tried_again(connect: Connect, failure: Answer) -> None:
    """Until it is taken: the event is delivered, with the number of attempts."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(failure, failure)
        await one.send(1, track("1"))
        told = await one.told(1)
        assert (told.status, told.delivery.http_status) == (200, 200)
        assert told.delivery.attempts == len(customerio.requests) == 3
        first, *again = customerio.requests
        assert all((each.path, each.body) == (first.path, first.body) for each in again)


async def test_no_answer_is_504(connect: Connect) -> None:
    """Nobody answers within a request's time, and the batch has no more: 504, UPSTREAM_TIMEOUT."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, request_timeout_s=1) as one,
    ):
        customerio.answers(then=HOLD)
        await one.send(1, track("1"), timeout_s=1.5)
        told = await one.told(1)
        assert (told.status, told.code, told.delivery.http_status) == (504, "UPSTREAM_TIMEOUT", 0)
        assert "no answer" in told.delivery.reason
        assert told.delivery.latency.ToTimedelta().total_seconds() >= 0.99


async def test_nobody_there_is_504(connect: Connect) -> None:
    """A connection that is refused: 504, UPSTREAM_FAILED, and the address is all that is said."""
    async with fake_customerio() as gone:
        pass
    async with delivering(connect, gone) as one:
        await one.send(1, track("1"), timeout_s=1)
        told = await one.told(1)
        assert (told.status, told.code) == (504, "UPSTREAM_FAILED")
        assert told.detail.error.retryable
        assert told.delivery.reason.startswith(
            f"no connection to {gone.url.removeprefix('http://')}"
        )


async def test_an_answer_of_ten_megabytes_is_survived(connect: Connect) -> None:
    """It is not read to its end; what it says still counts as far as its status goes."""
    body = b'{"errors": [' + b" " * (10 * MAX_RESPONSE_BYTES)
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(200, body), Reply(400, body))
        await one.send(1, track("1"), track("2"), track("3"))
        assert [told.status for told in await one.told_all(1)] == [200, 400, 200]


async def test_each_item_is_told_of_only_where_there_is_something_to_tell(connect: Connect) -> None:
    """With the detail level NOTABLE: failures, retries and warnings; plain deliveries have their status."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub, detail_level=v1.DetailLevel.DETAIL_LEVEL_NOTABLE) as one:
            customerio.answers(Reply(200), Reply(400), Reply(500))
            await one.send(1, identify("u1"), track("2"), track("3"), track("4"))
            told = await one.told_all(1)
            assert [each.status for each in told] == [200, 400, 200, 200]
            described = sorted(
                each.position for results in one.messages for each in results.details
            )
            assert described == [1, 2]


async def test_a_row_goes_where_its_connection_says(connect: Connect) -> None:
    """The item's connection, or the batch's; without one the record is refused."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        await one.call.write(
            v1.TransformStreamRequest(
                upsert_destinations=v1.UpsertDestinations(
                    connections=[
                        v1.SourceConnection(reference_id=1, config_json=b'{"object": "person"}')
                    ]
                )
            )
        )
        row = {
            "type": "record",
            "action": "insert",
            "identifiers": {"id": "u1"},
            "fields": {"x": 1},
        }
        await one.send(1, item(row, connection=1), item(row))
        told = await one.told_all(1)
        assert [(each.status, each.code) for each in told] == [(200, ""), (400, "INVALID_RECORD")]
        assert [each.path for each in customerio.requests] == ["/api/v1/customers/u1"]
