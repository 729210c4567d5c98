"""The streams of both clients when they deliver: what Customer.io answered, and what waits for what."""

from typing import Any

import grpc
import pytest
from ciosidecar import ApiRequest, Client, DeliveryOptions, DetailLevel, StreamOptions, v1
from ciosidecar._answer_queue import AnswerQueue
from ciosidecar._outstanding import _MAX_REMEMBERED_BATCHES, OutstandingEvents
from ciosidecar.events import Destination, outgoing_of
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.testing import server

from tests.client.both import CONFIG, plain, run_async, run_sync
from tests.client.scripted import Connection, scripted

both = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])


def track(number: int, user: str = "u1") -> bytes:
    """An event of its own id and name."""
    event = b'{"type":"track","userId":"%b","event":"E%d","messageId":"m%d"}'
    return event % (user.encode(), number, number)


@both
def test_each_result_says_what_customerio_answered(run: Any) -> None:
    """Attempts, status and latency of what was sent; nothing of what was not."""
    events = [track(1), b"no event", track(2)]
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        answers, _ = run(sidecar.address, plain(events), deliver=True)
        assert [event.name for event in sandbox.workspace.events.kept] == ["E1", "E2"]
    assert [answer.result.status for answer in answers] == [200, 400, 200]
    for answer in (answers[0], answers[2]):
        delivery = answer.result.delivery
        assert (delivery.attempts, delivery.http_status) == (1, 200)
        assert delivery.latency_s >= 0
        assert answer.result.requests == ()
    assert answers[1].result.delivery is None


@both
def test_requests_come_along_where_they_are_asked_for(run: Any) -> None:
    """Complete, as a transform gives them out; and delivery's details only where there is more to say."""
    how = DeliveryOptions(include_requests=True, detail_level=DetailLevel.NOTABLE)
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        ((_, result),), _ = run(sidecar.address, plain([track(1)]), deliver=how)
    assert result.requests[0].url == "https://track.customer.io/api/v1/customers/u1/events"
    assert result.delivery is None


@both
def test_an_event_that_waits_in_vain_names_the_one_it_waits_for(run: Any) -> None:
    """By its position on the stream, in whatever messages the two travelled."""
    sends: list[Any] = [(track(number, f"u{number}"), {}) for number in range(5)]
    sends += [(track(5, "u3"), {}), (track(6, "u0"), {})]
    how = DeliveryOptions(timeout_s=0.5)
    options = StreamOptions(max_batch_events=2)
    with (
        running_sandbox(fault="503=1") as sandbox,
        server(customerio_url=sandbox.url) as sidecar,
    ):
        answers, _ = run(sidecar.address, sends, options, deliver=how)
    errors = [answer.result.error for answer in answers]
    assert [error.code for error in errors[5:]] == ["BLOCKED", "BLOCKED"]
    assert [error.blocked_by for error in errors] == [None] * 5 + [3, 0]


@both
def test_a_position_is_the_streams_own_after_a_reconnect_too(run: Any) -> None:
    """What is sent again travels in other batches at other places: the position stays what it was."""

    def dies(connection: Connection) -> None:
        connection.open()
        batch = connection.batch()
        assert batch is not None
        connection.answer(batch, 0, 2, complete=False)
        connection.fail(grpc.StatusCode.UNAVAILABLE)

    def blocks(connection: Connection) -> None:
        connection.open()
        batch = connection.batch()
        assert batch is not None
        assert len(batch.items) == 3  # the events 1, 3 and 4
        connection.block(batch, 2, batch.batch_id, 1)
        connection.block(
            batch, 1, 1, 0
        )  # of the connection before, which the client does not remember
        connection.answer(batch, 0)
        connection.answer_everything()

    with scripted(dies, blocks) as (address, _):
        options = StreamOptions(linger_s=0.5)
        answers, _ = run(address, plain([track(n) for n in range(5)]), options, deliver=True)
    blocked_by = [answer.result.error and answer.result.error.blocked_by for answer in answers]
    assert blocked_by == [None, None, None, None, 3]
    assert answers[3].result.error.code == "BLOCKED"


def test_answered_batches_are_remembered_for_a_while() -> None:
    """So many of them, and no more: a stream may run for months."""
    answers = AnswerQueue()
    outstanding = OutstandingEvents(answers, max_batch_events=1, max_batch_bytes=1 << 20)
    outstanding.connect(v1.Limits(max_batch_events=1, max_destinations=1))
    destination = Destination(CONFIG)
    for number in range(_MAX_REMEMBERED_BATCHES + 10):
        outstanding.enqueue(answers.add(outgoing_of(b"{}", destination)))
        batch = outstanding.take_messages()[-1].batch
        outstanding.answer(v1.Results(batch_id=batch.batch_id, statuses=[200], batch_complete=True))
        assert len(list(answers.take())) == 1
        assert outstanding._position_of(batch.batch_id, 0) == number
    assert outstanding._position_of(11, 0) == 10
    assert outstanding._position_of(10, 0) is None
    assert outstanding._position_of(11, 1) is None
    assert len(outstanding._answered_positions) == _MAX_REMEMBERED_BATCHES


def prepare(address: str, events: list[bytes]) -> list[ApiRequest]:
    """The requests of an earlier transform."""
    with Client(address) as client:
        results = client.transform(events, CONFIG)
    return [request for result in results for request in result.requests]


@both
def test_a_request_from_an_earlier_transform_is_delivered_as_it_is(run: Any) -> None:
    """Transformed now, delivered later, by another sidecar; it is its own item."""
    with server() as first:
        requests = prepare(first.address, [track(1), track(2, "u2")])
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        answers, _ = run(sidecar.address, plain(requests), deliver=True)
        assert sorted(event.name for event in sandbox.workspace.events.kept) == ["E1", "E2"]
    assert [answer.attachment for answer in answers] == requests
    assert [answer.result.status for answer in answers] == [200, 200]


def test_prepared_requests_need_no_destination() -> None:
    """They hold all there is to say; an event beside them does not."""
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        (request,) = prepare(sidecar.address, [track(1)])
        with Client(sidecar.address) as client, client.stream(deliver=True) as stream:
            stream.send(request)
            with pytest.raises(ValueError, match="name a destination"):
                stream.send(track(2))
            stream.finish()
            ((_, result),) = stream
    assert result.status == 200


@both
def test_a_prepared_batch_that_is_taken_in_part_names_what_was_refused(run: Any) -> None:
    """Status 207, and each refused item of its body with Customer.io's reason."""
    groups = [b'{"type":"group","userId":"u%d","groupId":"g"}' % number for number in range(3)]
    with (
        running_sandbox(fault="207=1") as sandbox,
        server(customerio_url=sandbox.url) as sidecar,
    ):
        requests = prepare(sidecar.address, groups)
        ((_, result),), _ = run(sidecar.address, plain(requests), deliver=True)
    assert result.status == 207
    assert not result.ok
    assert result.error.code == "REFUSED"
    (failed,) = result.delivery.failed_items
    assert failed.index in range(3)
    assert failed.reason


@both
def test_a_request_to_anywhere_else_is_not_sent(run: Any) -> None:
    """Where requests go is not the caller's to choose."""
    strange = ApiRequest("POST", "https://example.com/api/v1/events", "", {}, b"{}", (0,))
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        ((_, result),), _ = run(sidecar.address, plain([strange]), deliver=True)
        assert sandbox.workspace.log.written == 0
    assert (result.status, result.error.code) == (400, "INVALID_ITEM")


@both
def test_a_request_is_nothing_to_transform(run: Any) -> None:
    """On a stream that does not deliver it is refused, and the stream lives on."""
    with server() as sidecar:
        requests = prepare(sidecar.address, [track(1)])
        answers, _ = run(sidecar.address, plain([*requests, track(2)]))
    assert [answer.result.status for answer in answers] == [400, 200]
    assert answers[0].result.error.code == "INVALID_ITEM"
