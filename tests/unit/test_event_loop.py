"""Connections by name in the event loop of the commands."""

import asyncio
import contextlib
import socket
import ssl
import threading

import pytest
import trustme
from ciosidecar_server.event_loop import Loop


@pytest.mark.parametrize("is_secure", [False, True])
def test_a_name_leads_to_the_address_that_takes_connections(is_secure: bool) -> None:
    """localhost may also be ::1, where no server listens; TLS checks the name."""
    authority = trustme.CA()
    own, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(own)
    authority.configure_trust(trust)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()

    async def go() -> bytes:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=own if is_secure else None)
        async with server:
            port = server.sockets[0].getsockname()[1]
            context = trust if is_secure else None
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            writer.write(b"hello")
            received = await reader.readexactly(5)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            return received

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(go()) == b"hello"


def test_a_name_that_does_not_resolve_is_the_systems_error() -> None:
    """For everybody who waits for it, and also where nobody waits any more."""

    async def go() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            both = [loop.getaddrinfo("nowhere.invalid", 80) for _ in range(2)]
            problems = await asyncio.gather(*both, return_exceptions=True)
            assert [type(problem) for problem in problems] == [socket.gaierror] * 2
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(loop.getaddrinfo("nowhere.invalid", 80), 0)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(go())


def test_a_look_up_whose_thread_cannot_start_blocks_no_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system may have no thread left for a moment."""

    def no_thread(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def go() -> None:
        loop = asyncio.get_running_loop()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            with pytest.raises(RuntimeError):
                await loop.getaddrinfo("localhost", 80)
        assert await asyncio.wait_for(loop.getaddrinfo("localhost", 80), 30)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(go())
