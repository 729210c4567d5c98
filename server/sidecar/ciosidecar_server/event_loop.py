"""The event loop of the commands: uvloop, with look-ups of names that hold nothing up."""

import asyncio
import ipaddress
import socket
import threading
from contextlib import suppress
from typing import Any

import uvloop

_Lookup = tuple[Any, Any, int, int, int, int]
# A thread of a silent name server takes 130 kB, and ends after 10 s with the defaults of resolv.conf.
MAX_LOOKUPS = 64


class _Found:
    """The addresses of a name, once they are looked up, and the number of callers that wait for them."""

    def __init__(self, addresses: asyncio.Future[Any]) -> None:
        self.addresses = addresses
        self.callers = 0


class Loop(uvloop.Loop):
    """uvloop that looks each name up once at a time, in a thread that nothing waits for.

    At most 64 names are looked up at a time. If a name server is silent to that many, further names wait until a
    look-up ends, in the order in which callers asked, or until their callers give up.

    uvloop's own look-ups share two threads. While a name server is silent, the look-ups of one host would keep those
    of every other host waiting, and the process would wait for these threads when it ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[_Lookup, _Found] = {}
        self._waiting: dict[_Lookup, None] = {}
        self._threads = 0

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
            if self._threads < MAX_LOOKUPS:
                # A thread that cannot be started raises here, and leaves no look-up behind.
                self._start(lookup)
            else:
                self._waiting[lookup] = None
            found = self._lookups[lookup] = _Found(self.create_future())
        found.callers += 1
        try:
            # A caller that gives up leaves the look-up to the others.
            return await asyncio.shield(found.addresses)
        finally:
            found.callers -= 1
            if found.callers == 0 and lookup in self._waiting:
                del self._waiting[lookup], self._lookups[lookup]

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

    def _start(self, lookup: _Lookup) -> None:
        threading.Thread(
            target=self._look_up, args=(lookup,), name="name look-up", daemon=True
        ).start()
        self._threads += 1

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
        self._threads -= 1
        self._settle(lookup, addresses, problem)
        while self._waiting and self._threads < MAX_LOOKUPS:
            waiting = next(iter(self._waiting))
            del self._waiting[waiting]
            try:
                self._start(waiting)
            except RuntimeError as no_thread:
                self._settle(waiting, None, no_thread)

    def _settle(self, lookup: _Lookup, addresses: Any, problem: Exception | None) -> None:
        found = self._lookups.pop(lookup).addresses
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
