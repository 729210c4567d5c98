"""The transport's connections: kept, replaced, closed; and how long it waits for one, or for an answer."""

import asyncio
import inspect
import socket
from collections.abc import Iterator

import aiohttp
import pytest
from ciosidecar_server.delivery.transport import NoResponse

from tests.delivery.sending import (
    PATH,
    answering,
    send,
    transport,
    within,
)
from tests.fake_customerio import Connection, fake_customerio

pytestmark = pytest.mark.timeout(30)


async def test_connection_is_kept() -> None:
    """Requests in turn share one."""
    async with fake_customerio(answering) as server, transport() as to:
        for _ in range(5):
            await send(to, server.url + PATH)
    assert (server.connections, len(server.requests)) == (1, 5)


async def test_connections_are_bounded() -> None:
    """More requests at a time than connections wait for one another."""
    async with fake_customerio(answering) as server, transport(max_connections=3) as to:
        await asyncio.gather(*[send(to, server.url + PATH) for _ in range(30)])
    assert (server.connections, len(server.requests)) == (3, 30)


async def test_closing_closes_every_connection() -> None:
    """Nothing is left open at the server's end."""
    async with fake_customerio(answering) as server:
        async with transport() as to:
            await asyncio.gather(*[send(to, server.url + PATH) for _ in range(4)])
        await asyncio.wait_for(server.all_closed(), 10)


@pytest.mark.parametrize("kept", [False, True])
async def test_closing_ends_requests_under_way(kept: bool) -> None:
    """Without an answer, at once, and without another try on a new connection; later ones as well."""
    arrived = asyncio.Event()

    async def script(connection: Connection) -> None:
        if kept:
            await connection.request()
            await connection.answer(200)
        await connection.request()
        arrived.set()
        await connection.closed()

    async with fake_customerio(script) as server, transport() as to:
        if kept:
            await send(to, server.url + PATH)
        sending = asyncio.create_task(send(to, server.url + PATH))
        await asyncio.wait_for(arrived.wait(), 10)
        async with within(8):
            await to.aclose()
            with pytest.raises(NoResponse):
                await sending
            with pytest.raises(NoResponse, match="closed"):
                await send(to, server.url + PATH)
    assert server.connections == 1


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_kept_connection_that_was_given_up_is_replaced_once(method: str, reset: bool) -> None:
    """Its server closed it while nothing was sent: the request goes out again on a new one, at once."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(200, b"first" if connection.number == 1 else b"again")
        if connection.number == 1:
            await connection.request()
            connection.end(reset=reset)

    async with fake_customerio(script) as server, transport() as to:
        assert (await send(to, server.url + PATH, method=method)).body == b"first"
        assert (await send(to, server.url + PATH, b"[]", method=method)).body == b"again"
    assert [request.body for request in server.requests] == [b"{}", b"[]", b"[]"]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_new_connection_that_is_closed_is_no_answer(method: str, reset: bool) -> None:
    """Sent once, whatever the method: whether to try again is the caller's to count."""

    async def script(connection: Connection) -> None:
        await connection.request()
        connection.end(reset=reset)

    async with fake_customerio(script) as server, transport() as to:
        with pytest.raises(NoResponse) as caught:
            await send(to, server.url + PATH, method=method)
    why = "Connection reset by peer" if reset else "the connection was closed"
    assert caught.value.text == f"no complete answer from {server.host}: {why}"
    assert len(server.requests) == 1


async def test_replacement_that_is_closed_too_is_no_answer() -> None:
    """One more try, not one for every kept connection."""

    async def script(connection: Connection) -> None:
        if await connection.request() and connection.number <= 3:
            await connection.answer(200)
            await connection.request()

    async with fake_customerio(script) as server, transport() as to:
        await asyncio.gather(*[send(to, server.url + PATH) for _ in range(3)])
        with pytest.raises(NoResponse):
            await send(to, server.url + PATH)
    assert (server.connections, len(server.requests)) == (4, 5)


@pytest.mark.parametrize(
    "sent", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Le", b"not HTTP\r\n\r\n"]
)
async def test_kept_connection_that_has_begun_to_answer_is_not_replaced(sent: bytes) -> None:
    """Whoever begins to answer has the request."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(200)
        await connection.request()
        connection.writer.write(sent)

    async with fake_customerio(script) as server, transport() as to:
        await send(to, server.url + PATH)
        with pytest.raises(NoResponse):
            await send(to, server.url + PATH)
    assert len(server.requests) == 2


async def test_connection_closed_while_idle_costs_nothing() -> None:
    """It is known to be closed by the time the next request comes."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(200)

    async with fake_customerio(script) as server, transport() as to:
        await send(to, server.url + PATH)
        await asyncio.wait_for(server.all_closed(), 10)
        await send(to, server.url + PATH)
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_cancelled_request_takes_its_connection_along() -> None:
    """The server sees it close, and the next request has one of its own."""
    arrived = asyncio.Event()

    async def script(connection: Connection) -> None:
        while await connection.request():
            if connection.number == 1:
                arrived.set()
            else:
                await connection.answer(200)

    async with fake_customerio(script) as server, transport(max_connections=1) as to:
        tasks = asyncio.all_tasks()
        sending = asyncio.create_task(send(to, server.url + PATH))
        await asyncio.wait_for(arrived.wait(), 10)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(server.all_closed(), 10)
        assert asyncio.all_tasks() <= tasks
        assert (await send(to, server.url + PATH)).status == 200


async def test_server_that_never_answers_is_given_up_in_time() -> None:
    """Connected, sent, and then nothing; also on a kept connection, where it is not sent again."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(200)
        await connection.request()
        await connection.closed()

    async with fake_customerio(script) as server, transport() as to:
        await send(to, server.url + PATH)
        async with within(10):
            with pytest.raises(NoResponse) as caught:
                await send(to, server.url + PATH, timeout_s=1)
    assert caught.value.timed_out
    assert caught.value.text == f"no answer from {server.host} within 1 s"
    assert len(server.requests) == 2


@pytest.mark.parametrize("head_first", [False, True])
async def test_server_that_drips_is_given_up_in_time(head_first: bool) -> None:
    """A byte now and then does not extend the time: neither in the head nor in the body."""

    async def script(connection: Connection) -> None:
        await connection.request()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"
        connection.writer.write(head + b"\r\n" if head_first else head + b"X-Long: ")
        while not connection.writer.is_closing():
            connection.writer.write(b"x")
            await asyncio.sleep(0.05)

    async with fake_customerio(script) as server, transport() as to:
        async with within(8):
            with pytest.raises(NoResponse) as caught:
                await send(to, server.url + PATH, timeout_s=0.5)
        assert caught.value.timed_out
        await asyncio.wait_for(server.all_closed(), 10)


async def test_tls_handshake_that_never_ends_is_given_up_in_time() -> None:
    """By the time for connecting, though the request has more."""

    async def script(connection: Connection) -> None:
        await connection.closed()

    async with fake_customerio(script) as server, transport(connect_timeout_s=0.3) as to:
        async with within(8):
            with pytest.raises(NoResponse) as caught:
                await send(to, f"https://{server.host}{PATH}", timeout_s=10)
        assert caught.value.timed_out
        assert caught.value.text == f"no connection to {server.host} within 0.3 s"
        await asyncio.wait_for(server.all_closed(), 10)


@pytest.fixture
def full_listener() -> Iterator[str]:
    """Address of a socket whose queue of new connections is full: the kernel drops any further one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for queued in waiting:
            queued.setblocking(False)
            queued.connect_ex(address)
        yield f"{address[0]}:{address[1]}"
        for queued in waiting:
            queued.close()


@pytest.mark.parametrize(
    ("connect_timeout_s", "timeout_s", "what"),
    [(0.3, 10, "no connection to {} within 0.3 s"), (10, 0.3, "no answer from {} within 0.3 s")],
)
async def test_address_where_nobody_takes_connections_is_given_up_in_time(
    full_listener: str, connect_timeout_s: float, timeout_s: float, what: str
) -> None:
    """By the time for connecting or that for the whole, whichever is over first."""
    async with transport(connect_timeout_s=connect_timeout_s) as to, within(8):
        with pytest.raises(NoResponse) as caught:
            await send(to, f"http://{full_listener}{PATH}", timeout_s=timeout_s)
    assert caught.value.timed_out
    assert caught.value.text == what.format(full_listener)


_FALSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"


@pytest.mark.parametrize("when", ["with the answer before", "once that was read", "unread"])
async def test_an_answer_that_nobody_asked_for_is_nobodys(when: str) -> None:
    """What comes on a kept connection between two requests closes it: the next request has an answer of its own."""
    said, go = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        if connection.number > 1:
            await connection.answer(200, b"true")
            return
        if when == "with the answer before":
            connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + _FALSE)
        else:
            await connection.answer(200)
            await go.wait()
            connection.writer.write(_FALSE)
        await connection.writer.drain()
        said.set()
        if await connection.request():
            await connection.answer(200, b"true")

    async with fake_customerio(script) as server, transport() as to:
        await send(to, server.url + PATH)
        go.set()
        await asyncio.wait_for(said.wait(), 10)
        if when == "once that was read":
            # Another connection's exchange: the loop has read what there was by then.
            async with fake_customerio(answering) as other:
                await send(to, other.url + PATH)
        answer = await send(to, server.url + PATH)
    assert answer.body == b"true"
    assert [len(server.requests), server.connections] == [2, 2]


async def test_a_server_that_speaks_first_is_not_believed() -> None:
    """An answer that is there before the request is none: not of a new connection, either."""

    async def script(connection: Connection) -> None:
        connection.writer.write(_FALSE)
        await connection.writer.drain()
        await connection.closed()

    async with fake_customerio(script) as server, transport() as to:
        host, port = server.host.split(":")
        # The peer has written by the time that a connection made after another one is there.
        reader, writer = await asyncio.open_connection(host, int(port))
        await reader.readexactly(len(_FALSE))
        writer.close()
        with pytest.raises(NoResponse):
            await send(to, server.url + PATH, timeout_s=1)


def test_a_session_gets_its_connections_by_connect() -> None:
    """The method that is overridden has the parameters that it had when this was written; else look at the override."""
    parameters = inspect.signature(aiohttp.TCPConnector.connect).parameters
    assert list(parameters) == ["self", "req", "traces", "timeout"]


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("sent_before", [0, 1])
async def test_after_the_end_nothing_is_sent(http2: bool, sent_before: int) -> None:
    """Not to a server that was sent to before, and to no other one: no connection is opened any more."""
    async with fake_customerio() as server:
        async with transport(http2=http2) as to:
            for _ in range(sent_before):
                await send(to, server.url + PATH)
        with pytest.raises(NoResponse, match="closed"):
            await send(to, server.url + PATH)
        assert server.connections == sent_before
