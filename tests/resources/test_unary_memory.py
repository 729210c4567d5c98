"""Unary calls: what they hold together is bounded, and what does not fit is told."""

import asyncio
import re
from typing import Any

import grpc
from ciosidecar import v1
from grpc import aio

from tests.conftest import batch, destination
from tests.fake_customerio import HOLD, fake_customerio
from tests.processes import server
from tests.resources.others import TRACK
from tests.resources.process import MB, memory_bytes, stub_of, until_below

CALLS = 6
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
LARGE = b'{"type":"track","userId":"u%d","event":"E","properties":{"a":"%s"}}'


def large_request(request: Any = v1.DeliverRequest) -> Any:
    """10,000 events of 3 KB."""
    events = [LARGE % (number, b"x" * 3_000) for number in range(10_000)]
    return request(destinations=[destination()], batch=batch(*events))


async def end_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status of a unary call, and its message up to the first figure."""
    try:
        await call
    except aio.AioRpcError as failure:
        return failure.code(), re.split(r"\d", str(failure.details()))[0]
    return grpc.StatusCode.OK, ""


async def test_deliver_calls_that_wait_hold_bounded_memory() -> None:
    """Six calls whose Customer.io never answers: those beyond the limit are rejected, a later one is not."""
    async with fake_customerio() as customerio:
        customerio.rule = lambda _: HOLD
        with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as running:
            before = memory_bytes(running)
            async with stub_of(running) as stub:
                request = large_request()
                calls = [stub.Deliver(request, timeout=60) for _ in range(CALLS)]
                ended = [asyncio.ensure_future(end_of(call)) for call in calls]
                while sum(one.done() for one in ended) < CALLS - 1:
                    waiting = [one for one in ended if not one.done()]
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    # A message is read before the server can reject it: all of them may be there at once.
                    assert memory_bytes(running) - before < 450 * MB
                rejected = {one.result() for one in ended if one.done()}
                assert rejected == {(EXHAUSTED, "batch: the unary calls under way hold ")}
                await until_below(running, before + 220 * MB)
                for call in calls:
                    call.cancel()
                await asyncio.wait(ended)
                small = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))
                answer = await stub.Transform(small, timeout=60)
                assert list(answer.results.statuses) == [200]


async def test_a_transform_whose_results_fit_no_message_fails() -> None:
    """Each request has a key of its own: 20 MB of events would become 400 MB of results."""
    config = b'{"siteID":"s","apiKey":"{{ event.properties.k || k }}%b"}' % (b"k" * 20_000)
    event = b'{"type":"track","userId":"u","event":"E","properties":{"k":"%d"}}'
    events = [event % number for number in range(10_000)]
    with server("--listen", "127.0.0.1:0") as running:
        before = memory_bytes(running)
        async with stub_of(running) as stub:
            request = v1.TransformRequest(
                destinations=[destination(config=config)], batch=batch(*events)
            )
            ended = await end_of(stub.Transform(request, timeout=60))
            assert ended == (EXHAUSTED, "batch: its results have more than ")
            assert memory_bytes(running) - before < 300 * MB
