"""What all four clients offer, in Python: docs/clients.md has the table."""

import contextlib
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from ciosidecar import (
    AsyncClient,
    BatchEntry,
    CallFailed,
    Client,
    StreamOptions,
    v1,
)
from ciosidecar_server.testing import run_in_background, server

from tests.client.both import CONFIG, TRACK, plain, run_async, run_sync
from tests.client.scripted import Connection, scripted
from tests.client.test_faults import nested

both = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])


@both
def test_answers_come_as_they_are_there_where_that_is_asked_for(run: Any) -> None:
    """Unordered: the second event's answer does not wait for the first's."""

    def backwards(connection: Connection) -> None:
        connection.open()
        batches = [connection.batch() for _ in range(3)]
        for batch in reversed(batches):
            assert batch is not None
            connection.answer(batch)
        connection.answer_everything()

    for unordered, wanted in ((True, [2, 1, 0]), (False, [0, 1, 2])):
        options = StreamOptions(max_batch_events=1, unordered=unordered)
        with scripted(backwards) as (address, _):
            answers, _ = run(address, plain([b"%d" % n for n in range(3)]), options)
        assert [answer.result.position for answer in answers] == wanted
        assert [int(answer.attachment) for answer in answers] == wanted


def batches_of(run_it: Callable[[str], Any]) -> list[v1.Batch]:
    """What a scripted sidecar gets."""
    seen: list[v1.Batch] = []

    def keeps(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            seen.append(batch)
            connection.answer(batch)

    with scripted(keeps) as (address, _):
        run_it(address)
    return seen


def send_batches_sync(address: str) -> None:
    """A batch among single events."""
    with Client(address) as client, client.stream(CONFIG, StreamOptions(linger_s=5)) as stream:
        stream.send(b"before")
        entries: list[Any] = [b"1", BatchEntry(event=b"2", attachment="two", fields={"attempt": 3})]
        stream.send_batch(entries, timeout_s=1.5)
        stream.send(b"after")
        stream.finish()
        assert [answer.attachment for answer in stream] == [b"before", b"1", "two", b"after"]


def send_batches_async(address: str) -> None:
    """The same in asyncio."""

    async def main() -> None:
        options = StreamOptions(linger_s=5)
        async with AsyncClient(address) as client, client.stream(CONFIG, options) as stream:
            await stream.send(b"before")
            entries: list[Any] = [
                b"1",
                BatchEntry(event=b"2", attachment="two", fields={"attempt": 3}),
            ]
            await stream.send_batch(entries, timeout_s=1.5)
            await stream.send(b"after")
            stream.finish()
            attachments = [answer.attachment async for answer in stream]
            assert attachments == [b"before", b"1", "two", b"after"]

    run_in_background(main())


@pytest.mark.parametrize("send", [send_batches_sync, send_batches_async], ids=["sync", "async"])
def test_a_batch_of_the_callers_travels_alone_under_its_own_timeout(send: Any) -> None:
    """What is sent together shares messages with nothing else, and its delivery has its own bound."""
    batches = batches_of(send)
    assert [[item.json for item in batch.items] for batch in batches] == [
        [b"before"],
        [b"1", b"2"],
        [b"after"],
    ]
    assert [batch.timeout.ToMilliseconds() for batch in batches] == [0, 1500, 0]
    assert [batch.HasField("timeout") for batch in batches] == [False, True, False]
    assert batches[1].items[1].attempt == 3


@pytest.mark.timeout(30)
def test_all_of_a_batch_is_taken_or_none() -> None:
    """One that cannot travel leaves the others with the caller."""
    with server() as sidecar, Client(sidecar.address) as client, client.stream(CONFIG) as stream:
        with pytest.raises(ValueError, match="nested too deeply"):
            stream.send_batch([TRACK, nested(40)])
        stream.finish()
        assert list(stream) == []


def test_every_call_may_take_thirty_seconds() -> None:
    """The sidecar sees the default deadline."""
    left: list[float] = []

    class Asks(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            left.append(details.timeout)
            return continuation(details, request)

    with server() as sidecar, grpc.insecure_channel(sidecar.address) as channel:
        client = Client(channel=grpc.intercept_channel(channel, Asks()))
        client.capabilities()
        client.check(CONFIG)
        client.transform([TRACK], CONFIG)
        with contextlib.suppress(CallFailed):
            client.check(CONFIG, timeout_s=0.001)
    assert left == [30, 30, 30, 0.001]


def test_one_batch_may_name_destinations_and_fields_event_by_event() -> None:
    """As a stream does."""
    config = b'{"siteID":"other","apiKey":"key","connectionMode":{"web":"device"}}'
    rows = BatchEntry(
        event=b'{"type":"record","action":"insert","identifiers":{"id":"u1"}}',
        connection={"object": "person"},
    )
    web = BatchEntry(event=TRACK, destination=config, fields={"source_type": "web", "tag": b"t"})
    with server() as sidecar, Client(sidecar.address) as client:
        first, second, third, fourth = client.transform([TRACK, web, rows, TRACK], CONFIG)
    assert (second.filter_reason, second.tag) == ("DEVICE_MODE", b"t")
    assert third.requests[0].url.endswith("/customers/u1")
    assert first.requests[0].headers == fourth.requests[0].headers


def test_ok_is_200_and_nothing_else() -> None:
    """A filtered event is in order, and yet nothing of it was transformed."""
    config = b'{"siteID":"site","apiKey":"key","connectionMode":{"web":"device"}}'
    event = b'{"type":"track","channel":"web","userId":"u1","event":"E"}'
    with server() as sidecar, Client(sidecar.address) as client:
        filtered, sent = client.transform([event, TRACK], config)
    assert (filtered.status, filtered.ok, filtered.error) == (298, False, None)
    assert (sent.status, sent.ok) == (200, True)
