"""Faults inside a stream: no caller waits forever, and valid events still get their answers."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from ciosidecar import (
    Answer,
    AsyncClient,
    CallFailed,
    Client,
    Closed,
    Destination,
    SidecarError,
    StreamOptions,
    v1,
)
from ciosidecar_server.testing import async_server, run_in_background, server

from tests.client.both import CONFIG, TRACK, plain, run_async, run_sync
from tests.client.scripted import Connection, scripted

both = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])


def nested(levels: int, kind: str = "struct") -> v1.RudderEvent:
    """A track whose properties are nested so deeply, field by field."""
    event = v1.RudderEvent(type="track", user_id="u1", event="Deep")
    # In place: a copy of what is nested too deeply is refused by protobuf itself.
    struct = event.properties.fields
    if kind == "struct":
        for _ in range(levels - 1):
            struct = struct.fields["a"].struct_value
        struct.fields["a"].number_value = 1
    else:
        value = struct.fields["a"]
        for _ in range(levels - 1):
            value = value.list_value.values.add()
        value.number_value = 1
    return event


@pytest.mark.timeout(60)
@both
@pytest.mark.parametrize(("kind", "deepest"), [("struct", 32), ("list", 47)])
def test_an_event_nested_too_deeply_is_refused_where_it_is_sent(
    run: Any, kind: str, deepest: int
) -> None:
    """Just what the sidecar cannot read; what it can is answered, and so is everything else."""
    with server() as sidecar:
        answers, _ = run(sidecar.address, plain([TRACK, nested(deepest, kind), TRACK]))
        assert [answer.result.status for answer in answers] == [200] * 3
        for levels in (deepest + 1, 40, 60, 3000):
            with pytest.raises(ValueError, match="nested too deeply"):
                run(sidecar.address, plain([TRACK, nested(max(levels, deepest + 1), kind)]))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("levels", [33, 40])
def test_one_batch_refuses_it_too(levels: int) -> None:
    """Before anything travels."""
    with server() as sidecar, Client(sidecar.address) as client:
        with pytest.raises(ValueError, match="nested too deeply"):
            client.transform([TRACK, nested(levels)], CONFIG)
        assert client.transform([nested(32)], CONFIG)[0].status == 200


@pytest.mark.timeout(60)
@both
def test_an_event_is_what_it_was_when_it_was_sent(run: Any) -> None:
    """What its sender does to it afterwards neither changes it nor breaks the stream."""
    event = v1.RudderEvent(type="track", user_id="u1", event="Before")

    def sends() -> Any:
        yield event, {}
        event.event = "After"
        struct = event.properties.fields
        for _ in range(40):
            struct = struct.fields["a"].struct_value
        struct.fields["a"].number_value = 1
        yield TRACK, {}

    with server() as sidecar:
        answers, _ = run(sidecar.address, sends(), StreamOptions(linger_s=0.5))
    assert [answer.result.status for answer in answers] == [200, 200]
    assert b'"Before"' in answers[0].result.requests[0].body


@pytest.mark.timeout(60)
@both
def test_an_event_larger_than_any_message_is_refused_where_it_is_sent(run: Any) -> None:
    """It could only end the stream for all others."""
    with server() as sidecar, pytest.raises(ValueError, match="can be sent"):
        run(sidecar.address, plain([b" " * (64 << 20)]))


def broken_inside() -> Destination:
    """A destination that no check has seen, and that cannot be declared."""
    destination = Destination(b"{}")
    object.__setattr__(destination, "ref", 5)
    return destination


@pytest.mark.timeout(60)
@both
@pytest.mark.parametrize("died", [False, True], ids=["", "and the sidecar dies"])
def test_a_sender_that_fails_ends_the_stream_with_its_error(run: Any, died: bool) -> None:
    """Events sent before still get their answers, after a reconnect too; then the error is raised."""
    seen: list[int] = []
    failing = threading.Event()

    def first(connection: Connection) -> None:
        connection.open()
        batch = connection.batch()
        assert batch is not None
        seen.append(len(batch.items))
        # The client says that it has finished once its sender has failed.
        assert connection.batch() is None
        if died:
            connection.fail(grpc.StatusCode.UNAVAILABLE)
        connection.answer(batch)

    def second(connection: Connection) -> None:
        connection.open()
        connection.answer_everything()

    answers: list[Answer] = []

    def sends() -> Any:
        yield TRACK, {"attachment": "good"}
        yield TRACK, {"attachment": "bad", "destination": broken_inside()}
        failing.set()

    options = StreamOptions(max_batch_events=1)
    with (
        scripted(first, second) as (address, _),
        pytest.raises(SidecarError, match="internal error in the client"),
    ):
        run_collecting(run, address, sends(), options, answers)
    assert [answer.attachment for answer in answers] == ["good"]
    assert seen == [1]


def run_collecting(
    run: Any, address: str, sends: Any, options: StreamOptions, answers: list[Answer]
) -> None:
    """Sends without finishing, and keeps what was answered before a failure."""
    if run is run_sync:
        with Client(address) as client, client.stream(CONFIG, options) as stream:
            for event, keywords in sends:
                stream.send(event, **keywords)
            for answer in stream:
                answers.append(answer)  # noqa: PERF402 - kept although the loop raises
        return

    async def main() -> None:
        async with AsyncClient(address) as client, client.stream(CONFIG, options) as stream:
            for event, keywords in sends:
                await stream.send(event, **keywords)
            async for answer in stream:
                answers.append(answer)  # noqa: PERF401 - kept although the loop raises

    run_in_background(main())


@pytest.mark.timeout(60)
@both
def test_an_answer_that_makes_no_sense_ends_the_stream(run: Any) -> None:
    """A batch that is called complete and is not: UNKNOWN, and no other try."""

    def breaks(connection: Connection) -> None:
        connection.open()
        batch = connection.batch()
        assert batch is not None
        connection.answer(batch, 0, complete=True)
        connection.answer_everything()

    with scripted(breaks) as (address, sidecar):
        with pytest.raises(CallFailed, match="broke the contract") as failure:
            run(address, plain([TRACK, TRACK]), StreamOptions(linger_s=0.2))
        assert failure.value.code == grpc.StatusCode.UNKNOWN
        assert len(sidecar.connections) == 1


@pytest.mark.timeout(60)
@both
def test_a_status_that_meets_a_write_is_not_lost(run: Any) -> None:
    """The stream ends with the sidecar's status, and does not reconnect. grpc.aio hides about one in five."""
    rounds = 40

    def fail(connection: Connection) -> None:
        connection.open()
        connection.batch()
        connection.fail(grpc.StatusCode.FAILED_PRECONDITION, "enough")

    with scripted(fail) as (address, sidecar):
        for _ in range(rounds):
            with pytest.raises(CallFailed, match="enough") as failure:
                run(address, plain([TRACK] * 100), StreamOptions(max_batch_events=1))
            assert failure.value.code == grpc.StatusCode.FAILED_PRECONDITION
        assert len(sidecar.connections) == rounds


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", ["cancel", "close"])
def test_cancelling_ends_whoever_waits(way: str) -> None:
    """`cancel` from another thread, and closing the client: Closed, at once."""

    def silent(connection: Connection) -> None:
        connection.open()
        while connection.batch() is not None:
            pass

    failures: list[BaseException] = []

    def wait(use: Callable[[], Any]) -> None:
        try:
            use()
        except SidecarError as failure:
            failures.append(failure)

    with (
        scripted(silent) as (address, _),
        Client(address) as client,
        client.stream(CONFIG, StreamOptions(max_outstanding_events=1)) as stream,
    ):
        stream.send(TRACK)
        waiting = [
            threading.Thread(target=wait, args=(use,))
            for use in (lambda: next(iter(stream)), lambda: stream.send(TRACK))
        ]
        for thread in waiting:
            thread.start()
        stream.cancel() if way == "cancel" else client.close()
        for thread in waiting:
            thread.join(20)
            assert not thread.is_alive()
    assert [type(failure) for failure in failures] == [Closed, Closed]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", ["cancel", "close", "task"])
async def test_cancelling_ends_whoever_waits_in_asyncio(way: str) -> None:
    """The same; and if the stream's own task is cancelled, as a loop that ends does."""
    options = StreamOptions(max_outstanding_events=1)
    async with (
        async_server() as sidecar,
        AsyncClient(sidecar.address) as client,
        client.stream(CONFIG, options) as stream,
    ):
        await stream.send(TRACK)
        await anext(aiter(stream))
        waiting: asyncio.Task[Answer] = asyncio.ensure_future(anext(aiter(stream)))
        await asyncio.sleep(0)
        if way == "cancel":
            stream.cancel()
        elif way == "close":
            await client.close()
        else:
            assert stream._tasks
            stream._tasks[0].cancel()
        with pytest.raises(Closed):
            await asyncio.wait_for(waiting, 20)


@pytest.mark.timeout(30)
@both
def test_a_stream_ends_when_its_time_is_over(run: Any, no_listener: str) -> None:
    """With a sidecar that does not answer, and without a sidecar."""

    def silent(connection: Connection) -> None:
        connection.open()
        while connection.batch() is not None:
            pass

    with scripted(silent) as (address, _):
        for target in (address, no_listener):
            with pytest.raises(CallFailed) as failure:
                run(target, plain([TRACK]), StreamOptions(timeout_s=0.5))
            assert failure.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
