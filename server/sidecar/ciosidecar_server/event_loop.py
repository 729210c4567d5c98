"""The event loop of the commands: uvloop, with look-ups of names that hold nothing up."""

import asyncio
import ipaddress
import socket
import threading
from contextlib import suppress
from typing import Any

import uvloop

_Lookup = tuple[Any, Any, int, int, int, int]


class Loop(uvloop.Loop):
    """uvloop that looks each name up once at a time, in a thread that nothing waits for.

    uvloop's own look-ups share two threads. While a name server is silent, the look-ups of one host would keep those
    of every other host waiting, and the process would wait for these threads when it ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[_Lookup, asyncio.Future[Any]] = {}

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Return the addresses of a host, as socket.getaddrinfo does."""
        lookup = (host, port, family, type, proto, flags)
        found = self._lookups.get(lookup)
        if found is None:
            # A thread that cannot be started raises here, and leaves no look-up behind.
            threading.Thread(
                target=self._look_up, args=(lookup,), name="name look-up", daemon=True
            ).start()
            found = self._lookups[lookup] = self.create_future()
        # A caller that gives up leaves the look-up to the others.
        return await asyncio.shield(found)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """Connect as asyncio does. uvloop would look the name up by itself."""
        if not host or _is_ip_address(host):
            return await super().create_connection(protocol_factory, host, port, **options)
        if options.get("ssl") and options.get("server_hostname") is None:
            options["server_hostname"] = host
        family = options.get("family", 0)
        addresses = await self.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        problem: OSError | None = None
        for *_, (address, *_) in addresses:
            try:
                return await super().create_connection(protocol_factory, address, port, **options)
            except OSError as fault:
                problem = fault
        raise problem or OSError(f"no address of {host} can be connected to")

    def _look_up(self, lookup: _Lookup) -> None:
        host, port, *options = lookup
        addresses: Any = None
        problem: Exception | None = None
        try:
            addresses = socket.getaddrinfo(host, port, *options)
        except Exception as fault:  # noqa: BLE001 - raised where the addresses are awaited
            problem = fault
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self.call_soon_threadsafe(self._looked_up, lookup, addresses, problem)

    def _looked_up(self, lookup: _Lookup, addresses: Any, problem: Exception | None) -> None:
        found = self._lookups.pop(lookup)
        if problem is None:
            found.set_result(addresses)
        else:
            found.set_exception(problem)
            found.exception()  # perhaps no caller is left to hear of it


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
