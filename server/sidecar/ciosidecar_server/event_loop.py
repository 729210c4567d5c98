"""The event loop of the commands: uvloop, with look-ups of names that hold nothing up."""

import asyncio
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
            found = self._lookups[lookup] = self.create_future()
            threading.Thread(
                target=self._look_up, args=(lookup,), name="name look-up", daemon=True
            ).start()
        # A caller that gives up leaves the look-up to the others.
        return await asyncio.shield(found)

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
