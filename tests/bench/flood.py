"""Callers with huge batches, beside which other callers are measured."""

import asyncio
import os
import sys
from typing import Any

import uvloop
from ciosidecar import v1
from grpc import aio

from .events import CONFIG, events
from .load import OPTIONS, batches
from .server_process import take_load_core


async def flood(stub: Any, message: v1.TransformStreamRequest) -> None:
    """Send a message repeatedly, with two of them unanswered."""
    call = stub.TransformStream()
    opening = v1.OpenStream(destinations=[v1.Destination(reference_id=1, config_json=CONFIG)])
    await call.write(v1.TransformStreamRequest(open=opening))
    await call.read()
    await call.write(message)
    print("flooding", flush=True)
    while True:
        await call.write(message)
        while not (await call.read()).results.batch_complete:
            pass


def many_events() -> v1.Batch:
    """Return a message with 10,000 events of the mix."""
    return batches([event for _, event in events(10_000)], 10_000)[0]


def large_events() -> v1.Batch:
    """Return a message with ten events of a megabyte each, with escapes in their strings."""
    traits = b'"%b"' % b'","'.join([b"a line\\nand another"] * 45_000)
    event = b'{"type":"identify","userId":"u","traits":{"a":[%b]}}' % traits
    return batches([event] * 10, 10)[0]


async def main(address: str, kind: str) -> None:
    """Run two such callers, with many events or with large ones."""
    take_load_core()
    os.nice(19)  # who measures beside it must not wait for it
    huge = large_events() if kind == "large" else many_events()
    async with aio.insecure_channel(address, options=OPTIONS) as channel:
        stub = v1.SidecarServiceStub(channel)
        message = v1.TransformStreamRequest(batch=huge)
        await asyncio.gather(flood(stub, message), flood(stub, message))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
