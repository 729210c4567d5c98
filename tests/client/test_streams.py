"""The streams of both clients: gathering, order, flow control, reconnecting."""

import threading
import time
from typing import Any

import grpc
import pytest
from ciosidecar import CallFailed, StreamOptions, Unavailable, v1
from ciosidecar_server.testing import server

from tests.client.both import CONFIG, TRACK, plain, run_async, run_sync
from tests.client.scripted import Connection, scripted

pytestmark = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])


def test_every_event_comes_back_in_order_beside_its_own_object(run: Any) -> None:
    """1,000 events, one at a time: 1,000 answers, in order, each with what was put beside it."""
    with server() as sidecar:
        sends = [
            (
                b'{"type":"track","userId":"u%d","event":"E"}' % index,
                {"attachment": ("job", index)},
            )
            for index in range(1000)
        ]
        answers, reconnects = run(sidecar.address, sends)
    assert [answer.attachment for answer in answers] == [("job", index) for index in range(1000)]
    assert [answer.result.position for answer in answers] == list(range(1000))
    for index, answer in enumerate(answers):
        assert answer.result.requests[0].url.endswith(f"/customers/u{index}/events")
    assert reconnects == 0


def test_dicts_bytes_and_messages_are_the_same_event(run: Any) -> None:
    """Whatever form an event has, it becomes the same request."""
    forms = [
        TRACK,
        {"type": "track", "userId": "u1", "event": "Order"},
        v1.RudderEvent(type="track", user_id="u1", event="Order"),
    ]
    with server() as sidecar:
        answers, _ = run(sidecar.address, plain(forms))
    assert len({answer.result.requests for answer in map(_without_headers, answers)}) == 1
    assert [answer.attachment for answer in answers] == forms


def _without_headers(answer: Any) -> Any:
    (request,) = answer.result.requests

    class Same:
        result = type("", (), {"requests": (request.method, request.url, request.body)})

    return Same


def test_events_are_gathered_into_messages(run: Any) -> None:
    """A thousand events sent one after another travel in few messages, none above the limit."""
    sizes: list[int] = []

    def script(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            sizes.append(len(batch.items))
            connection.answer(batch)

    with scripted(script) as (address, _):
        run(address, plain([TRACK] * 1000), StreamOptions(max_batch_events=100, linger_s=0.2))
    assert sum(sizes) == 1000
    assert max(sizes) <= 100
    assert len(sizes) < 50


def test_a_batch_is_bounded_in_bytes_too(run: Any) -> None:
    """Large events travel alone rather than in a message beyond the limit."""
    sizes: list[int] = []

    def script(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            sizes.append(sum(len(item.json) for item in batch.items))
            connection.answer(batch)

    with scripted(script) as (address, _):
        options = StreamOptions(max_batch_bytes=1000)
        run(address, plain([b"x" * 400] * 10 + [b"y" * 5000]), options)
    assert max(sizes[:-1]) <= 1000
    assert sum(sizes) == 9000


def test_the_servers_own_limit_on_a_batch_is_kept(run: Any) -> None:
    """A server that takes three events a batch gets three."""
    sizes: list[int] = []

    def script(connection: Connection) -> None:
        connection.open(max_batch_events=3)
        while (batch := connection.batch()) is not None:
            sizes.append(len(batch.items))
            connection.answer(batch)

    with scripted(script) as (address, _):
        run(address, plain([TRACK] * 20))
    assert sum(sizes) == 20
    assert max(sizes) == 3


def test_one_event_alone_is_sent_when_nobody_joins_it(run: Any) -> None:
    """An event lingers for milliseconds, not for the end of the stream."""
    answered = threading.Event()

    def script(connection: Connection) -> None:
        connection.open()
        batch = connection.batch()
        assert batch is not None
        connection.answer(batch)
        answered.set()
        connection.answer_everything()

    def sends() -> Any:
        yield TRACK, {}
        assert answered.wait(20), "the first event was held back"
        yield TRACK, {}

    with scripted(script) as (address, _):
        answers, _ = run(address, _blocking_in_async(sends, run))
    assert len(answers) == 2


def _blocking_in_async(sends: Any, run: Any) -> Any:
    """The generator; for asyncio its wait must not hold the loop, so it only sends one event."""
    return sends() if run is run_sync else [(TRACK, {}), (TRACK, {})]


def test_no_more_is_sent_than_may_be_outstanding(run: Any) -> None:
    """With at most ten outstanding events, the server never sees an eleventh unanswered."""
    seen: list[int] = []

    def script(connection: Connection) -> None:
        connection.open()
        unanswered: list[v1.Batch] = []
        while True:
            batch = connection.batch()
            if batch is None:
                break
            unanswered.append(batch)
            seen.append(sum(len(batch.items) for batch in unanswered))
            if seen[-1] >= 10 or sum(map(len, (batch.items for batch in unanswered))) >= 10:
                for batch in unanswered:
                    connection.answer(batch)
                unanswered.clear()
        for batch in unanswered:
            connection.answer(batch)

    with scripted(script) as (address, _):
        options = StreamOptions(max_outstanding_events=10, max_batch_events=4, linger_s=0.001)
        answers, _ = run(address, plain([TRACK] * 200), options)
    assert len(answers) == 200
    assert max(seen) == 10


def test_what_has_no_answer_is_sent_again_and_nothing_else(run: Any) -> None:
    """Half a batch is answered, then the server is gone: only the other half travels again."""

    def dies(connection: Connection) -> None:
        connection.open()
        batch = connection.batch()
        assert batch is not None
        assert len(batch.items) == 10
        connection.answer(batch, 0, 1, 2, 7, complete=False)
        connection.fail(grpc.StatusCode.UNAVAILABLE)

    resent: list[bytes] = []

    def lives(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            resent.extend(item.json for item in batch.items)
            connection.answer(batch)

    events = [b'{"n":%d}' % index for index in range(10)]
    with scripted(dies, lives) as (address, sidecar):
        answers, reconnects = run(address, plain(events), StreamOptions(linger_s=0.5))
        assert sidecar.connections[1].declared == {1: CONFIG}
    assert [answer.attachment for answer in answers] == events
    assert resent == [events[index] for index in (3, 4, 5, 6, 8, 9)]
    assert reconnects == 1


def test_drain_moves_the_stream_without_losing_anything(run: Any) -> None:
    """After Drain nothing more is sent there; what was sent is answered; the rest goes on elsewhere."""

    def drains(connection: Connection) -> None:
        connection.open()
        batch = connection.batch()
        assert batch is not None
        connection.drain()
        assert connection.batch() is None  # the client finishes
        connection.answer(batch)

    counts = {"second": 0}

    def takes_over(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            counts["second"] += len(batch.items)
            connection.answer(batch)

    events = [b'{"n":%d}' % index for index in range(50)]
    with scripted(drains, takes_over) as (address, _):
        options = StreamOptions(max_batch_events=5, max_outstanding_events=5)
        answers, reconnects = run(address, plain(events), options)
    assert [answer.attachment for answer in answers] == events
    assert counts["second"] == 45
    assert reconnects == 1


def test_an_answer_that_comes_twice_counts_once(run: Any) -> None:
    """A server that repeats itself does not confuse the order."""

    def repeats(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            connection.answer(batch, 0, complete=False)
            connection.answer(batch)
            connection.answer(batch)

    with scripted(repeats) as (address, _):
        answers, _ = run(address, plain([b"1", b"2", b"3"]))
    assert [answer.attachment for answer in answers] == [b"1", b"2", b"3"]


def test_nobody_there_is_unavailable_after_the_time_we_were_told(
    run: Any, no_listener: str
) -> None:
    """Nothing waits for ever: iteration and sending raise Unavailable."""
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"no answer for 0.3 s"):
        run(no_listener, plain([TRACK] * 10), StreamOptions(reconnect_for_s=0.3))
    assert time.monotonic() - start < 30


def test_a_refused_call_is_not_tried_again(run: Any) -> None:
    """INVALID_ARGUMENT would be answered again: it is raised, with its code."""

    def refuses(connection: Connection) -> None:
        connection.hear()
        connection.fail(grpc.StatusCode.INVALID_ARGUMENT, "no")

    with scripted(refuses) as (address, sidecar):
        with pytest.raises(CallFailed, match="no") as failure:
            run(address, plain([TRACK]))
        assert failure.value.code == grpc.StatusCode.INVALID_ARGUMENT
        assert len(sidecar.connections) == 1


def test_a_poisonous_batch_does_not_reconnect_for_ever(run: Any) -> None:
    """A server that fails on the same events each time is given up on."""

    def fails(connection: Connection) -> None:
        connection.open()
        connection.batch()
        connection.fail(grpc.StatusCode.INTERNAL)

    with scripted(fails) as (address, sidecar):
        with pytest.raises(Unavailable):
            run(address, plain([TRACK]), StreamOptions(reconnect_for_s=0.5))
        assert len(sidecar.connections) > 1


def test_more_destinations_than_the_server_keeps(run: Any) -> None:
    """Reference ids are assigned again; each event still has its own destination."""
    with server(max_destinations=3) as sidecar:
        sends = [
            (TRACK, {"destination": {"siteID": f"site-{index % 7}", "apiKey": "key"}})
            for index in range(70)
        ]
        answers, _ = run(sidecar.address, sends)
    headers = [answer.result.requests[0].headers["Authorization"] for answer in answers]
    assert len(set(headers)) == 7
    assert headers == headers[:7] * 10


def test_fields_of_an_item_travel_with_it(run: Any) -> None:
    """source_type, dont_batch and tag reach the server; requests name the stream's positions."""
    groups = [b'{"type":"group","userId":"u%d","groupId":"g%d"}' % (n, n) for n in range(3)]
    config = b'{"siteID":"site","apiKey":"key","connectionMode":{"web":"device"}}'
    sends: list[Any] = [(event, {}) for event in groups]
    sends[1] = (groups[1], {"dont_batch": True})
    sends.append((TRACK, {"source_type": "web", "tag": b"\xff", "destination": config}))
    with server() as sidecar:
        answers, _ = run(sidecar.address, sends, StreamOptions(linger_s=0.2))
    covered = [request.positions for answer in answers for request in answer.result.requests]
    assert covered == [(1,), (0, 2)]
    assert answers[3].result.filter_reason == "DEVICE_MODE"
    assert answers[3].result.tag == b"\xff"


@pytest.mark.parametrize(
    ("event", "failure"),
    [(5, TypeError), (None, TypeError), ({"n": float("nan")}, ValueError), ({"n": {1}}, TypeError)],
    ids=["number", "none", "nan", "set"],
)
def test_what_is_no_event_is_refused_where_it_is_sent(
    run: Any, event: Any, failure: type[Exception]
) -> None:
    """A TypeError or ValueError at the caller's own line, not a mystery on the wire."""
    with server() as sidecar, pytest.raises(failure):
        run(sidecar.address, plain([event]))


def test_an_unpaired_surrogate_in_a_dict_is_sent(run: Any) -> None:
    """A lone surrogate is the sidecar's to repair, with its warning."""
    with server() as sidecar:
        event = {"type": "track", "userId": "u", "event": "E \ud83d"}
        ((_, result),), _ = run(sidecar.address, plain([event]))
    assert [warning.code for warning in result.warnings] == ["LONE_SURROGATE"]


@pytest.mark.parametrize(
    ("fields", "failure"),
    [({"nonsense": 1}, ValueError), ({"tag": "text"}, TypeError), ({"attempt": -1}, ValueError)],
    ids=["name", "type", "value"],
)
def test_a_wrong_field_is_refused_where_it_is_sent(
    run: Any, fields: dict[str, Any], failure: type[Exception]
) -> None:
    """The caller's own line, not a broken stream later."""
    with server() as sidecar, pytest.raises(failure):
        run(sidecar.address, [(TRACK, fields)])


def test_requests_in_the_order_of_results_keep_each_persons_order(run: Any) -> None:
    """A shared request is with the last event it covers: a person's earlier request comes first."""
    events = [
        b'{"type":"group","userId":"u1","groupId":"g1"}',
        b'{"type":"track","userId":"u2","event":"E"}',
        b'{"type":"group","userId":"u2","groupId":"g2"}',
    ]
    with server() as sidecar:
        answers, _ = run(sidecar.address, plain(events), StreamOptions(linger_s=0.2))
    requests = [request for answer in answers for request in answer.result.requests]
    assert [request.positions for request in requests] == [(1,), (0, 2)]
