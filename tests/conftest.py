"""What tests of every kind share: a real server in this process, and a stream to it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server.app import Sidecar
from ciosidecar_server.settings import Settings
from grpc import aio

from tests.fake_customerio import nobody

# No test may assume that the default port is free, so every process that a test starts takes a free one.
os.environ.setdefault("CIOSIDECAR_ADMIN_LISTEN", "127.0.0.1:0")

# A shell that runs tests in the background ignores Ctrl-C for them, and every process that they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CONFIG = b'{"siteID": "site", "apiKey": "key"}'
# No answer takes so long, on a busy machine either.
HANGS_AFTER_S = 40
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

# The generated types know which form a stub has only where it is made.
Stub = Any
Connect = Callable[..., Awaitable[Stub]]
Stream = aio.StreamStreamCall[v1.TransformStreamRequest, v1.TransformStreamResponse]


SERIAL = [Path(__file__).parent / name for name in ("contract", "delivery", "engines", "polyglot")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the directories in which tests measure time or build clients."""
    for item in items:
        if any(item.path.is_relative_to(directory) for directory in SERIAL):
            item.add_marker(pytest.mark.serial)


@pytest.fixture
def no_listener() -> Iterator[str]:
    """Yield an address of loopback at which no server listens while the test runs."""
    with nobody() as address:
        yield address


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Yield a function that starts a server with the given settings and returns a stub of it."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Any:
            sidecar = Sidecar(Settings(listen=("127.0.0.1:0",), **settings))
            (address,) = await sidecar.start()
            stack.push_async_callback(sidecar.stop_at_once)
            channel = aio.insecure_channel(address, options=UNLIMITED)
            await stack.enter_async_context(channel)
            return v1.SidecarServiceStub(channel)

        yield start


@pytest.fixture
async def stub(connect: Connect) -> Stub:
    """Return a stub of a server with the default settings."""
    return await connect()


def destination(number: int = 1, config: bytes = CONFIG) -> v1.Destination:
    """Return a destination by its dashboard JSON."""
    return v1.Destination(reference_id=number, config_json=config)


def batch(*events: bytes, batch_id: int = 1, number: int = 1) -> v1.Batch:
    """Return a batch of events as JSON for one destination."""
    return v1.Batch(
        batch_id=batch_id, destination=number, items=[v1.BatchItem(json=event) for event in events]
    )


async def opened(stub: Stub, **opening: Any) -> tuple[Stream, v1.StreamOpened]:
    """Open a stream with destination 1 declared. Return it, and what the server said to it."""
    call: Any = stub.TransformStream()
    opening.setdefault("destinations", [destination()])
    await call.write(v1.TransformStreamRequest(open=v1.OpenStream(**opening)))
    response = await asyncio.wait_for(call.read(), HANGS_AFTER_S)
    assert response.WhichOneof("message") == "opened"
    return call, response.opened


async def results_of(call: Stream, batch_id: int = 1) -> list[v1.Results]:
    """Read and return the Results messages of one batch, to its completion."""
    found = []
    while True:
        response: Any = await asyncio.wait_for(call.read(), HANGS_AFTER_S)
        assert response.WhichOneof("message") == "results", response
        assert response.results.batch_id == batch_id
        found.append(response.results)
        if response.results.batch_complete:
            return found


async def end_of(call: Stream) -> tuple[Any, str]:
    """Read the messages of a stream, and return the status that it ends with."""
    while await asyncio.wait_for(_read(call), HANGS_AFTER_S) is not aio.EOF:
        pass
    return await call.code(), await call.details()


async def _read(call: Stream) -> Any:
    try:
        return await call.read()
    except aio.AioRpcError:
        return aio.EOF
