"""What a stream without delivery still gets when the server shuts down: all of its results, then the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from ciosidecar import v1
from ciosidecar_server.rpc.observer import StreamSnapshot
from ciosidecar_server.testing import AsyncTestServer, async_server
from grpc import aio

from tests.conftest import HANGS_AFTER_S, UNLIMITED, Stream, batch, opened
from tests.contract.test_stream_ends import until

TRAITS = {f"trait {number}": number for number in range(40)}
# Their transform takes more than the fifth of a second after which a silent stream is over, by far.
LONG_TO_TRANSFORM = 10_000
MUCH = {"text": "x" * 5_000}


def identify(number: int, traits: dict[str, Any]) -> bytes:
    return json.dumps({"type": "identify", "userId": f"u{number}", "traits": traits}).encode()


@asynccontextmanager
async def a_stream() -> AsyncIterator[tuple[AsyncTestServer, Stream]]:
    """A server with time to drain, and a stream of it."""
    async with (
        async_server(grace_s=60) as sidecar,
        aio.insecure_channel(sidecar.address, options=UNLIMITED) as channel,
    ):
        call, _ = await opened(v1.SidecarServiceStub(channel))
        yield sidecar, call


def snapshot(sidecar: AsyncTestServer) -> StreamSnapshot:
    """The state of the only stream, as the admin port shows it."""
    (found,) = sidecar._sidecar._servicer.snapshot()
    return found


async def rest(call: Stream) -> tuple[int, int, Any]:
    """Read a stream to its end: the number of results, of Drains, and the status."""
    results = drains = 0
    async with asyncio.timeout(HANGS_AFTER_S):
        while isinstance(response := await call.read(), v1.TransformStreamResponse):
            results += len(response.results.statuses)
            drains += response.HasField("drain")
        return results, drains, await call.code()


async def test_a_batch_that_takes_long_is_answered_while_the_server_drains() -> None:
    """A server that works on a batch does not take the stream for a silent one."""
    events = [identify(number, TRAITS) for number in range(LONG_TO_TRANSFORM)]
    async with a_stream() as (sidecar, call):
        await call.write(v1.TransformStreamRequest(batch=batch(*events)))
        await until(lambda: snapshot(sidecar).counts.batches == 1)
        draining = asyncio.create_task(sidecar.drain())
        assert await rest(call) == (LONG_TO_TRANSFORM, 1, grpc.StatusCode.OK)
        await draining


async def test_results_that_wait_for_the_caller_are_read_before_the_drain() -> None:
    """Drain waits for its turn behind the results."""
    message = v1.TransformStreamRequest(batch=batch(*[identify(1, MUCH)] * 100))
    async with a_stream() as (sidecar, call):
        async with asyncio.timeout(HANGS_AFTER_S):
            batches = 0
            while snapshot(sidecar).unread_s < 0.2:
                # Cancelling a write would end the call.
                writing = asyncio.ensure_future(call.write(message))
                batches += 1
                await asyncio.wait((writing,), timeout=0.5)
        draining = asyncio.create_task(sidecar.drain())
        await until(sidecar._sidecar._draining._begun.is_set)
        assert await rest(call) == (batches * 100, 1, grpc.StatusCode.OK)
        await draining
