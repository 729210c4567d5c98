"""The HTTP server of the admin port: its connections, limits and headers."""

import asyncio
import ipaddress
import logging
import traceback
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from .admin_address import AdminSockets, bind

MAX_CONNECTIONS = 64
HEAD_WITHIN_S = 5.0
"""Seconds from the start of a connection until its request must be there."""
ANSWER_WITHIN_S = 30.0
"""Seconds that a client has to read an answer. A stream of results bounds its reader itself."""
_END_WITHIN_S = 1.0
_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD)
_HEADERS = {
    hdrs.SERVER: "ciosidecar",
    # No kept connection, so no idle one: a scrape every 15 s does not miss it.
    hdrs.CONNECTION: "close",
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_log = logging.getLogger(__name__)
# aiohttp logs a malformed request as an error with a traceback. Any port scanner would fill the log.
_silent = logging.getLogger(f"{__name__}.http")
_silent.disabled = True

UNBOUNDED = web.ResponseKey("unbounded", bool)
"""Set on an answer that goes on, and bounds its reader itself."""


class AdminServer:
    """An HTTP server for one application, which answers GET and HEAD only and one request a connection."""

    def __init__(self, listen: str, application: web.Application) -> None:
        """Prepare the server.

        Args:
            listen: the address, as in --admin-listen. It MUST NOT be "none".
            application: its routes. Middleware and headers are added.
        """
        self._listen = listen
        self._servers: list[asyncio.Server] = []
        self._bound: AdminSockets | None = None
        application.middlewares.append(self._guard)
        application.on_response_prepare.append(_prepare)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=_silent,
            keepalive_timeout=HEAD_WITHIN_S,
            lingering_time=0,
            max_headers=64,
            shutdown_timeout=_END_WITHIN_S,
        )

    async def start(self) -> str:
        """Listen.

        Returns:
            The address, with the port that was taken.

        Raises:
            CannotListen: The address cannot be used.
        """
        self._bound = bind(self._listen)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        for listening in self._bound.sockets:
            self._servers.append(await loop.create_server(self._accept, sock=listening))
        if not self._bound.loopback:
            _log.warning(
                "the admin port %s can be reached from other machines, without TLS or a token",
                self._bound.address,
            )
        return self._bound.address

    async def aclose(self) -> None:
        """Stop to listen, and end every connection within a second."""
        servers, self._servers = self._servers, []
        if not servers:
            return  # never started, or ended already: a second signal ends what is ending
        for server in servers:
            server.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= MAX_CONNECTIONS:
            return _TurnedAway()
        return server()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.method not in _METHODS:
            raise web.HTTPMethodNotAllowed(request.method, _METHODS)
        if not self._may_name(request.headers.get(hdrs.HOST)):
            raise web.HTTPForbidden(
                text="The Host header names another machine. Use localhost or 127.0.0.1.\n"
            )
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as fault:  # noqa: BLE001 - whatever fails here, the sidecar goes on
            _log.error("internal error in %s: %s", request.path, _kind_and_place(fault))
            raise web.HTTPInternalServerError from None

    def _may_name(self, host_header: str | None) -> bool:
        """Return False for a name that a web page could have pointed to this machine (DNS rebinding)."""
        if self._bound is None or not self._bound.loopback or host_header is None:
            return True
        try:
            name = urlsplit(f"//{host_header}").hostname or ""
        except ValueError:
            return False
        return name in ("localhost", self._bound.host) or _is_ip(name)


async def _prepare(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.force_close()
    if request.transport is not None and not response.get(UNBOUNDED, False):
        loop = asyncio.get_running_loop()
        loop.call_later(ANSWER_WITHIN_S, request.transport.abort)


class _TurnedAway(asyncio.Protocol):
    """A connection beyond the limit, which is closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _kind_and_place(fault: BaseException) -> str:
    """Describe an exception without its text, which may quote events and keys."""
    (*_, last) = traceback.extract_tb(fault.__traceback__)
    return f"{type(fault).__name__} at {last.name}:{last.lineno}"


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
