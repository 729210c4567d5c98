"""Unary calls whose message never comes: gRPC waits for it, and other callers are answered meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ciosidecar import v1
from h2.config import H2Configuration
from h2.connection import H2Connection

from tests.conftest import batch, destination
from tests.processes import Server, server
from tests.resources.others import TRACK
from tests.resources.process import MB, memory_bytes, stub_of, until_below

CALLS = 5_000
WITHIN_S = 60
HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/ciosidecar.v1.SidecarService/Transform"),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]
# Not compressed, 1,000 bytes long, of which ten come.
HALF_MESSAGE = b"\0" + (1_000).to_bytes(4, "big") + b"x" * 10


@asynccontextmanager
async def half_calls(running: Server) -> AsyncIterator[H2Connection]:
    """A connection with calls whose messages are incomplete. It answers pings."""
    host, _, port = running.addresses[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    greeted = asyncio.Event()

    async def answer() -> None:
        while data := await reader.read(65_536):
            connection.receive_data(data)
            greeted.set()
            writer.write(connection.data_to_send())

    answering = asyncio.create_task(answer())
    try:
        writer.write(connection.data_to_send())
        await asyncio.wait_for(greeted.wait(), WITHIN_S)
        for _ in range(CALLS):
            stream = connection.get_next_available_stream_id()
            connection.send_headers(stream, HEADERS)
            connection.send_data(stream, HALF_MESSAGE)
        writer.write(connection.data_to_send())
        await asyncio.wait_for(writer.drain(), WITHIN_S)
        yield connection
        assert not answering.done(), "the server has closed the connection"
    finally:
        answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering
        writer.close()


async def test_half_messages_keep_no_other_caller_from_its_answer() -> None:
    """5,000 from one client: others are answered, and the memory is bounded."""
    request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))
    with server("--listen", "127.0.0.1:0", "--grace-s", "1") as running:
        before = memory_bytes(running)
        async with stub_of(running) as stub, half_calls(running):
            for _ in range(100):
                answer = await stub.Transform(request, timeout=WITHIN_S)
                assert list(answer.results.statuses) == [200]
            # 85 MB were measured.
            assert memory_bytes(running) - before < 250 * MB
        async with stub_of(running) as stub:
            await until_below(running, before + 200 * MB)
            answer = await stub.Transform(request, timeout=WITHIN_S)
            assert list(answer.results.statuses) == [200]
