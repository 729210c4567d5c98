"""Scripts of a fake Customer.io that speak something else than its HTTP/1.1: a proxy's CONNECT, and HTTP/2."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from tests.fake_customerio import Connection, FakeCustomerio, Received, fake_customerio


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def tunnel(connection: Connection) -> None:
    """Connect to where CONNECT says, as a proxy does, and pass on whatever comes."""
    request = await connection.request()
    assert request is not None
    host, port = request.path.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    connection.writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    await asyncio.gather(_pass_on(connection.reader, writer), _pass_on(reader, connection.writer))


@asynccontextmanager
async def http2_customerio(tls: ssl.SSLContext) -> AsyncIterator[FakeCustomerio]:
    """Run a server that speaks HTTP/2 only, and answers 200 with `{}`."""
    tls.set_alpn_protocols(["h2"])
    async with fake_customerio(_speak_http2, tls=tls) as server:
        yield server


async def _speak_http2(connection: Connection) -> None:
    state = H2Connection(H2Configuration(client_side=False))
    state.initiate_connection()
    connection.writer.write(state.data_to_send())
    while data := await connection.reader.read(65_536):
        for event in state.receive_data(data):
            if isinstance(event, RequestReceived):
                headers = {name.decode(): text.decode() for name, text in event.headers}
                request = Received(headers[":method"], headers[":path"], headers, b"")
                await connection.server.took(request)
            elif isinstance(event, DataReceived):
                length = event.flow_controlled_length
                state.acknowledge_received_data(length, event.stream_id)
            elif isinstance(event, StreamEnded):
                state.send_headers(event.stream_id, [(":status", "200")])
                state.send_data(event.stream_id, b"{}", end_stream=True)
        connection.writer.write(state.data_to_send())
