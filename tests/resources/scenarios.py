"""What strains a server: each scenario returns its figures, for a test with small numbers and for the table with large ones."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from ciosidecar import v1

from tests.conftest import CONFIG, batch, destination
from tests.contract.test_bad_peers import PREFACE, SETTINGS
from tests.fake_customerio import HOLD, fake_customerio
from tests.processes import Server, server
from tests.resources.process import cpu_s, memory_bytes, others_of, stub_of
from tests.soak.samples import metrics_of

LARGE_EVENTS = ("--max-event-bytes", "50000000")
_A_CONNECTION = 500
"""Streams that share a connection."""
_ONCE_S = 1.0


class Figures(NamedTuple):
    """What a scenario cost."""

    grown_bytes: int
    """The most memory that the server had beyond what it had before."""
    p99_s: float
    """The wait that one of a hundred calls of another caller exceeded."""
    longest_s: float
    cpu_s: float


@asynccontextmanager
async def _figures(running: Server, into: list[Figures]) -> AsyncIterator[None]:
    async with others_of(running):
        pass  # what is loaded and connected with the first call is not counted
    before, used_s = memory_bytes(running), cpu_s(running)
    async with others_of(running) as others:
        yield
    into.append(
        Figures(
            others.peak_bytes - before,
            others.p99_s,
            max(others.waits_s),
            cpu_s(running) - used_s,
        )
    )


async def _with_server(work: Callable[[Server], Awaitable[None]], *arguments: str) -> Figures:
    """Return what a work on a server of its own costs."""
    found: list[Figures] = []
    with server("--listen", "127.0.0.1:0", *arguments) as running:
        async with _figures(running, found):
            await work(running)
    return found[0]


async def _transform(running: Server, *items: v1.BatchItem, status: int | None = None) -> None:
    """Transform events. status: of each of them; None: any."""
    message = v1.Batch(batch_id=1, destination=1, items=items)
    request = v1.TransformRequest(destinations=[destination()], batch=message)
    async with stub_of(running) as stub:
        response = await stub.Transform(request, timeout=300)
    statuses = list(response.results.statuses)
    assert len(statuses) == len(items)
    assert status is None or statuses == [status] * len(items)


async def nested(depth: int) -> Figures:
    """Send ten events with arrays and ten with objects of a depth."""
    forms = (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth)
    events = [b'{"type":"track","userId":"u","event":"E","properties":{"a":%b}}' % f for f in forms]
    items = [v1.BatchItem(json=event) for event in events * 10]
    return await _with_server(lambda running: _transform(running, *items), *LARGE_EVENTS)


async def keys(number: int) -> Figures:
    """Send an event of JSON with a number of keys."""
    traits = json.dumps({f"key{one}": one for one in range(number)}).encode()
    event = b'{"type":"identify","userId":"u","traits":%b}' % traits
    return await _with_server(
        lambda running: _transform(running, v1.BatchItem(json=event)), *LARGE_EVENTS
    )


async def struct_keys(number: int) -> Figures:
    """Send an event as a Struct with a number of keys, where an event may have as many."""
    item = _struct_item(number)
    return await _with_server(lambda running: _transform(running, item, status=200), *LARGE_EVENTS)


async def struct_keys_too_many(number: int) -> Figures:
    """Send an event as a Struct with more keys than an event may have by default."""
    item = _struct_item(number)
    return await _with_server(lambda running: _transform(running, item, status=400))


def _struct_item(keys: int) -> v1.BatchItem:
    typed = v1.RudderEvent(type="identify", user_id="u")
    typed.traits.fields.update({f"key{one}": one for one in range(keys)})
    return v1.BatchItem(event=typed)


async def idle_streams(number: int) -> Figures:
    """Open streams that carry nothing."""

    async def hold(running: Server) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(0, number, _A_CONNECTION):
                stub = await stack.enter_async_context(stub_of(running))
                for _ in range(min(number, _A_CONNECTION)):
                    call = await _open(stub, destinations=[destination()])
                    stack.callback(call.cancel)
            await asyncio.sleep(_ONCE_S)

    return await _with_server(hold)


async def readers_that_never_read(number: int) -> Figures:
    """Open streams whose callers send batches of 400 KB as long as the server takes them, and read nothing."""
    event = b'{"type":"track","userId":"u","event":"E","properties":{"a":"%b"}}' % (b"x" * 4_000)
    flood = v1.TransformStreamRequest(batch=batch(*[event] * 100))

    async def write_on(stub: Any) -> None:
        call = await _open(stub, destinations=[destination()])
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(call.write(flood), 3)
        call.cancel()

    async def hold(running: Server) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stubs = [await stack.enter_async_context(stub_of(running)) for _ in range(number)]
            await asyncio.gather(*map(write_on, stubs))

    return await _with_server(hold)


async def half_open_connections(number: int) -> Figures:
    """Open connections that say the half of a frame."""
    half = PREFACE + SETTINGS + b"\x00\x40\x00\x01\x00\x00\x00\x00\x01" + b"x" * 100

    async def hold(running: Server) -> None:
        host, _, port = running.addresses[0].rpartition(":")
        writers = []
        for _ in range(number):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(half)
            writers.append(writer)
        await asyncio.sleep(_ONCE_S)
        for writer in writers:
            writer.transport.abort()

    return await _with_server(hold)


async def destinations(streams: int, of_each: int) -> Figures:
    """Declare destinations on streams, deliver to each; Customer.io never answers. Then read the metrics."""
    async with fake_customerio() as customerio:
        customerio.rule = lambda _: HOLD

        async def hold(running: Server) -> None:
            async with contextlib.AsyncExitStack() as stack:
                for number in range(streams):
                    stub = await stack.enter_async_context(stub_of(running))
                    call = await _declared(stub, number * of_each, of_each)
                    stack.callback(call.cancel)
                assert await asyncio.to_thread(_waiting, running) == streams * of_each

        return await _with_server(
            hold,
            *("--customerio-url", customerio.url, "--max-batch-events", str(of_each + 1)),
            # The events of the first stream must not expire on a busy machine before the last one has begun.
            *("--delivery-timeout-s", "3600"),
        )


async def _open(stub: Any, **opening: Any) -> Any:
    """Open a stream, however long that takes on a busy machine."""
    call = stub.TransformStream()
    await call.write(v1.TransformStreamRequest(open=v1.OpenStream(**opening)))
    assert (await call.read()).WhichOneof("message") == "opened"
    return call


async def _declared(stub: Any, begin: int, number: int) -> Any:
    """Return a delivering stream whose events, one for each of its destinations, are all with the server's delivery."""
    declared = [
        destination(one, CONFIG.replace(b'"site"', b'"site-%d"' % (begin + one)))
        for one in range(1, number + 1)
    ]
    call = await _open(stub, destinations=declared, delivery=v1.DeliveryOptions())
    event = b'{"type":"track","userId":"u","event":"E"}'
    items = [v1.BatchItem(json=event, destination=one) for one in range(1, number + 1)]
    # The last item is answered at once, when all before it were submitted.
    items.append(v1.BatchItem(json=b"no JSON", destination=1))
    await call.write(v1.TransformStreamRequest(batch=v1.Batch(batch_id=1, items=items)))
    answer = await call.read()
    assert list(answer.results.statuses) == [400], answer
    return call


def _waiting(running: Server) -> float:
    """Return how many events wait or are in flight, by the metrics."""
    metrics = metrics_of(running.admin)
    return metrics["ciosidecar_events_waiting"] + metrics["ciosidecar_events_in_flight"]
