"""A caller with much work does not keep others waiting: large events, many destinations, large settings."""

import asyncio
from collections.abc import Awaitable, Callable
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from ciosidecar import v1
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from tests.conftest import CONFIG, UNLIMITED, batch, destination, opened, results_of
from tests.processes import TIMEOUT_S, Server, cpu_s, server

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
# A server that works on without a break answers in the first and in the last of them.
ENOUGH = 6
DELIVERING = v1.DeliveryOptions()


def large_event() -> bytes:
    """A megabyte that takes the transform some time, and becomes no request: it is too much data."""
    dates = b'"2024-05-06T07:08:09.123Z",' * 37_000
    return b'{"type":"track","userId":"u","event":"E","properties":{"a":[%b1]}}' % dates


def large_batch(number: int = 20) -> v1.Batch:
    return batch(*[large_event()] * number)


def struct_batch(number: int = 40) -> v1.Batch:
    """Events built field by field, each with 20,000 values."""
    message = v1.RudderEvent(type="track", user_id="u", event="E")
    message.properties.fields.update({"a": [{"b": "\n" * 10}] * 10_000})
    return v1.Batch(batch_id=1, destination=1, items=[v1.BatchItem(event=message)] * number)


def prepared_batch(number: int = 10) -> v1.Batch:
    """Prepared requests with 50,000 people each."""
    body = b'{"batch":[%b]}' % b",".join([b'{"identifiers":{"id":"u"}}'] * 50_000)
    request = v1.PreparedRequest(
        method="POST",
        url="https://track.customer.io/api/v2/batch",
        headers={"Authorization": "Basic eDp5"},
        body=body,
    )
    items = [v1.BatchItem(prepared=request) for _ in range(number)]
    return v1.Batch(batch_id=1, items=items, timeout=Duration(nanos=1_000_000))


def ask_again_and_again(address: str, pid: int, answers: "Queue[float]") -> None:
    """Call a server, in a process of its own, and note the server's CPU time at each answer."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))
        while True:
            stub.Transform(request)
            answers.put(cpu_s(pid))


async def tenths_with_answers(running: Server, work: Callable[[Any], Awaitable[None]]) -> int:
    """In how many tenths of the server's CPU time for the work another process gets answers.

    CPU time, because what a busy machine gives to others, and what a caller needs to write its messages, is no
    server's doing.
    """
    address, pid = running.addresses[0], running.process.pid
    processes = get_context("spawn")
    answers: Queue[float] = processes.Queue()
    somebody_else = processes.Process(
        target=ask_again_and_again, args=(address, pid, answers), daemon=True
    )
    somebody_else.start()
    try:
        await asyncio.to_thread(answers.get, timeout=TIMEOUT_S)
        async with (
            aio.insecure_channel(address, options=UNLIMITED) as channel,
            asyncio.timeout(100),
        ):
            start = cpu_s(pid)
            await work(v1.SidecarServiceStub(channel))
            whole = cpu_s(pid) - start
        answered = await asyncio.to_thread(_until, answers, start + whole)
    finally:
        somebody_else.kill()
        somebody_else.join()
    return len({int((one - start) / whole * 10) for one in answered if 0 <= one - start < whole})


def _until(answers: "Queue[float]", end: float) -> list[float]:
    """Return the answers up to the first one after the end."""
    found = [answers.get(timeout=TIMEOUT_S)]
    while found[-1] < end:
        found.append(answers.get(timeout=TIMEOUT_S))
    return found


async def unary(stub: Any, found: v1.Batch) -> None:
    await stub.Transform(v1.TransformRequest(destinations=[destination(config=DATES)], batch=found))


DATES = CONFIG[:-1] + b', "convertDates": true}'


async def stream(stub: Any, found: v1.Batch, **opening: Any) -> None:
    call, _ = await opened(stub, destinations=[destination(config=DATES)], **opening)
    await call.write(v1.TransformStreamRequest(batch=found))
    await results_of(call)
    call.cancel()


async def delivering(stub: Any, found: v1.Batch) -> None:
    await stream(stub, found, delivery=DELIVERING)


async def many_destinations(stub: Any) -> None:
    config = b'{"siteID":"s","apiKey":"k","consentManagement":[%b{}]}' % (
        b'{"provider":"p","consents":[{"consent":"c"}]},' * 20
    )
    await opened(stub, destinations=[destination(number, config) for number in range(1, 10_001)])


async def large_settings(stub: Any) -> None:
    config = b'{"siteID":"s","apiKey":"k","a":"\\ud83d","b":[%b1]}' % (b'"\\n",' * 200_000)
    await opened(stub, destinations=[destination(number, config) for number in range(1, 21)])


@pytest.mark.parametrize(
    ("drive", "found"),
    [
        (unary, large_batch),
        (stream, large_batch),
        (delivering, large_batch),
        (unary, struct_batch),
        (delivering, struct_batch),
        (delivering, prepared_batch),
    ],
)
async def test_a_batch_of_large_events_holds_nobody_up(
    drive: Callable[[Any, v1.Batch], Awaitable[None]], found: Callable[[], v1.Batch]
) -> None:
    """Others are answered all the while."""
    prepared = found()
    with server("--listen", "127.0.0.1:0", "--customerio-url", "http://127.0.0.1:9") as running:
        tenths = await tenths_with_answers(running, lambda stub: drive(stub, prepared))
    assert tenths >= ENOUGH


@pytest.mark.parametrize("declare", [many_destinations, large_settings])
async def test_declarations_hold_nobody_up(declare: Callable[[Any], Awaitable[None]]) -> None:
    """Nor do ten thousand destinations, or settings of many megabytes."""
    with server("--listen", "127.0.0.1:0") as running:
        tenths = await tenths_with_answers(running, declare)
    assert tenths >= ENOUGH
