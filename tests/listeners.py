"""The end of asyncio servers that run in the tests' own process."""

import asyncio


async def close_listener(listener: asyncio.Server) -> None:
    """Close a listener without losing a connection that it is accepting.

    After `Server.close`, asyncio drops such a connection without closing it: an "unclosed transport" of some later
    test. When this returns, the callback of every accepted connection without TLS has begun.
    """
    loop = asyncio.get_running_loop()
    for listening in listener.sockets:
        loop.remove_reader(listening.fileno())
    # The transport is made, it tells the protocol, and the callback begins.
    for _ in range(3):
        await asyncio.sleep(0)
    listener.close()
