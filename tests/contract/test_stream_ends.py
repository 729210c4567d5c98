"""However a stream ends, nothing of it is left, and nobody else is the worse for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from ciosidecar_server.rpc import destinations
from ciosidecar_server.rpc.results_encoder import ResultsEncoder
from ciosidecar_server.testing import async_server
from ciosidecar_transform import pipeline
from ciosidecar_transform.operations import Operation
from ciosidecar_transform.rules.context import RuleContext
from grpc import aio

from tests.conftest import Stub, batch, destination, end_of, opened, results_of

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'


def message(**found: Any) -> v1.TransformStreamRequest:
    return v1.TransformStreamRequest(**found)


def stream_tasks() -> int:
    """Tasks of the server's streams in this loop."""
    names = ("Session.", "DeliveryWorker.", "Draining.", "TransformStream")
    return sum(len(tasks(name)) for name in names)


def tasks(name: str) -> list[asyncio.Task[Any]]:
    """The tasks of this loop whose coroutine has a name."""
    return [task for task in asyncio.all_tasks() if name in repr(task.get_coro())]


async def until(condition: Callable[[], bool], *, timeout_s: float = 10) -> None:
    """Waits for something that must come, by letting the loop go on."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - a state of the server, not of this test
            await asyncio.sleep(0.005)


async def finish(call: Any) -> None:
    await call.write(message(finish=v1.Finish()))
    assert (await end_of(call))[0] == grpc.StatusCode.OK


async def half_close(call: Any) -> None:
    await call.done_writing()
    assert (await end_of(call))[0] == grpc.StatusCode.OK


async def cancel(call: Any) -> None:
    call.cancel()


async def breach(call: Any) -> None:
    await call.write(message(open=v1.OpenStream()))
    assert (await end_of(call))[0] == grpc.StatusCode.INVALID_ARGUMENT


async def cancel_in_the_middle(call: Any) -> None:
    await call.write(message(batch=batch(*[TRACK] * 5000, batch_id=2)))
    call.cancel()


@pytest.mark.parametrize(
    "end", [finish, half_close, cancel, breach, cancel_in_the_middle], ids=lambda end: end.__name__
)
async def test_no_task_outlives_its_stream(
    stub: Stub, end: Callable[[Any], Awaitable[None]]
) -> None:
    """Finish, half-close, cancel, a breach: every task of the stream ends."""
    await until(lambda: stream_tasks() == 0)
    call, _ = await opened(stub)
    await call.write(message(batch=batch(TRACK)))
    await results_of(call)
    assert stream_tasks() > 0
    await end(call)
    await until(lambda: stream_tasks() == 0)


async def test_a_deadline_ends_the_stream(stub: Stub) -> None:
    """The RPC's own deadline bounds the stream (T7)."""
    call: Any = stub.TransformStream(timeout=0.3)
    await call.write(message(open=v1.OpenStream()))
    assert (await end_of(call))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: stream_tasks() == 0)


async def test_a_stream_closed_before_it_was_opened(stub: Stub) -> None:
    """Nothing sent at all: the stream ends with OK."""
    call: Any = stub.TransformStream()
    await call.done_writing()
    assert (await end_of(call))[0] == grpc.StatusCode.OK


async def test_a_small_batch_is_answered_while_a_huge_one_is_in_work(stub: Stub) -> None:
    """Fairness: the loop is yielded within a batch, so a later, small one overtakes it."""
    huge, _ = await opened(stub)
    small, _ = await opened(stub)
    order: list[str] = []

    async def watch(call: Any, name: str, batch_id: int) -> None:
        await results_of(call, batch_id)
        order.append(name)

    await huge.write(message(batch=batch(*[TRACK] * 10_000, batch_id=1)))
    await small.write(message(batch=batch(TRACK, batch_id=2)))
    async with asyncio.timeout(30):
        await asyncio.gather(watch(huge, "huge", 1), watch(small, "small", 2))
    assert order == ["small", "huge"]


async def test_a_fault_in_an_event_tells_its_caller_nothing(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """T1: an exception in one event is its INTERNAL; its text is neither in the result nor the log."""

    def broken(context: RuleContext) -> Operation:
        if context.event.user_id == "cursed":
            raise ValueError(f"secret of {context.event.user_id}")
        return original(context)

    original = pipeline._RULES["track"]
    monkeypatch.setitem(pipeline._RULES, "track", broken)
    cursed = b'{"type":"track","userId":"cursed","event":"E"}'
    call, _ = await opened(stub)
    with caplog.at_level(logging.ERROR):
        await call.write(message(batch=batch(TRACK, cursed, TRACK)))
        (results,) = await results_of(call)
    assert list(results.statuses) == [200, 500, 200]
    error = results.details[0].error
    assert error.code == v1.ErrorCode.ERROR_CODE_INTERNAL
    assert error.retryable
    assert "test_stream_ends.py" in caplog.text
    for text in (error.message, caplog.text):
        assert "cursed" not in text
        assert "secret" not in text


async def test_a_fault_in_a_call_tells_its_caller_nothing(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """T1: INTERNAL with a number to find it by, on unary calls and streams alike."""

    text_of_the_fault = "secret-api-key"

    def broken(_: v1.Destination) -> Any:
        raise ValueError(text_of_the_fault)

    monkeypatch.setattr(destinations, "config_json", broken)
    call: Any = stub.TransformStream()
    with caplog.at_level(logging.ERROR):
        await call.write(message(open=v1.OpenStream(destinations=[destination()])))
        code, text = await end_of(call)
        request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))
        with pytest.raises(aio.AioRpcError) as failure:
            await stub.Transform(request)
    assert code == failure.value.code() == grpc.StatusCode.INTERNAL
    for said in (text, str(failure.value.details())):
        assert said.rpartition(" ")[2] in caplog.text
        assert text_of_the_fault not in said
    assert text_of_the_fault not in caplog.text


@pytest.mark.parametrize("said_before", [False, True], ids=["it waits", "it has finished"])
async def test_a_fault_in_writing_ends_a_delivering_stream(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, said_before: bool
) -> None:
    """T1: results that cannot be written are no silence: the stream ends as INTERNAL, whatever the caller does."""

    def broken(*_: Any) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(ResultsEncoder, "answer", broken)
    call, _ = await opened(stub, delivery=v1.DeliveryOptions())
    await call.write(message(batch=batch(b"no event")))
    if said_before:
        await call.write(message(finish=v1.Finish()))
    code, text = await end_of(call)
    assert code == grpc.StatusCode.INTERNAL
    assert "secret" not in text


async def test_a_fault_in_writing_ends_the_call_deliver(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1: the unary call ends as INTERNAL, too, and does not wait for what is never written."""

    def broken(*_: Any) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(ResultsEncoder, "answer", broken)
    request = v1.DeliverRequest(destinations=[destination()], batch=batch(b"no event"))
    with pytest.raises(aio.AioRpcError) as failure:
        await stub.Deliver(request, timeout=10)
    assert failure.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in str(failure.value.details())


async def test_draining_after_a_breach_does_not_take_the_grace() -> None:
    """T13: an aborted call is over; the server does not wait for it."""
    async with (
        async_server(grace_s=60) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        call: Any = v1.SidecarServiceStub(channel).TransformStream()
        await call.write(message(finish=v1.Finish()))
        assert (await end_of(call))[0] == grpc.StatusCode.INVALID_ARGUMENT
        async with asyncio.timeout(30):
            await sidecar.drain()
    await until(lambda: stream_tasks() == 0)


async def test_a_stream_that_opens_while_the_server_drains_is_opened_first() -> None:
    """StreamOpened comes before Drain. A stream that does not open ends without a message, and in time."""
    async with (
        async_server(grace_s=60) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        transform_stream: Any = v1.SidecarServiceStub(channel).TransformStream
        opening, silent = transform_stream(), transform_stream()
        for call in (opening, silent):
            await call.wait_for_connection()
        await until(lambda: stream_tasks() == 4)
        draining = asyncio.create_task(sidecar.drain())
        await until(sidecar._sidecar._draining._begun.is_set)
        await opening.write(message(open=v1.OpenStream()))
        async with asyncio.timeout(30):
            assert await kinds(opening) == ["opened", "drain"]
            assert await kinds(silent) == []
            await draining
        for call in (opening, silent):
            assert await call.code() is grpc.StatusCode.OK


async def kinds(call: Any) -> list[str]:
    """The kinds of all messages of a stream."""
    read = []
    while (response := await call.read()) is not aio.EOF:
        read.append(response.WhichOneof("message"))
    return read


async def test_a_call_that_is_cancelled_at_the_end_of_a_drain_ends_as_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A handler that swallows its cancelling leaks the call in gRPC; here it comes while the drain ends the reading."""
    caplog.set_level(logging.INFO)
    async with (
        async_server(grace_s=60) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        call, _ = await opened(v1.SidecarServiceStub(channel))
        (handler,) = sidecar._sidecar._servicer._calls
        (serving,) = tasks("Session._serve ")
        draining = asyncio.create_task(sidecar.drain())
        async with asyncio.timeout(30):
            while not serving.cancelling():  # noqa: ASYNC110 - the very step of the loop
                await asyncio.sleep(0)
            # As gRPC does when it hears of the caller's cancelling, but at this very moment.
            handler.cancel()
            await until(lambda: stream_tasks() == 0)
            call.cancel()
            await draining
    logged: list[Any] = [record.msg for record in caplog.records]
    (closed,) = [line for line in logged if line["event"] == "stream closed"]
    assert closed["reason"] == "cancelled"


async def test_a_thousand_cancelled_streams_leave_no_task(stub: Stub) -> None:
    """T12: cancelled while it answers, each stream is gone with everything it held."""
    for _ in range(20):
        calls = [(await opened(stub))[0] for _ in range(50)]
        for call in calls:
            await call.write(message(batch=batch(*[TRACK] * 200)))
        for call in calls:
            call.cancel()
    await until(lambda: stream_tasks() == 0)
