"""A listener of the tests' own process is closed while connections come in."""

import asyncio
import gc
import socket
import warnings
from contextlib import ExitStack

from tests.fake_customerio import fake_customerio
from tests.listeners import close_listener

CLIENTS = 20


async def just_accepted() -> None:
    """Let the loop accept what waits, and no more."""
    for _ in range(2):
        await asyncio.sleep(0)


async def test_a_connection_that_is_being_accepted_is_served() -> None:
    """None is dropped without being closed."""
    begun = 0

    async def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun
        begun += 1
        writer.close()

    with warnings.catch_warnings(record=True) as found, ExitStack() as stack:
        warnings.simplefilter("always")
        listener = await asyncio.start_server(connected, "127.0.0.1", 0)
        address = listener.sockets[0].getsockname()
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(address))
        await just_accepted()
        await close_listener(listener)
        assert begun == CLIENTS
        await just_accepted()
        gc.collect()
    assert [str(one.message) for one in found] == []


async def test_the_stand_in_for_customer_io_closes_what_it_is_accepting() -> None:
    """Its last clients see the end."""
    with warnings.catch_warnings(record=True) as found, ExitStack() as stack:
        warnings.simplefilter("always")
        async with fake_customerio() as customerio:
            host, _, port = customerio.host.rpartition(":")
            clients = [
                stack.enter_context(socket.create_connection((host, int(port))))
                for _ in range(CLIENTS)
            ]
            await just_accepted()
        await just_accepted()
        gc.collect()
        for client in clients:
            client.settimeout(10)
            assert client.recv(1) == b""
    assert [str(one.message) for one in found] == []
