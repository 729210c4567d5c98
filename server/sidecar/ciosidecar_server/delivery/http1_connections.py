"""Connections that speak HTTP/1.1, by aiohttp."""

import asyncio
import select
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from .connections import KEEP_ALIVE_S, Attempt, ExchangeFailed, Failed, HttpResponse, read_at_most

# aiohttp hands no argument of ours to a connector.
_attempt: ContextVar[Attempt] = ContextVar("attempt")

_DEFAULT_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_DISCONNECTED = str(aiohttp.ServerDisconnectedError())


class Http1Connections:
    """Connections as in Connections. Made where an event loop runs."""

    given_up = frozenset((Failed.READ,))

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        connect_timeout_s: float,
        max_connections: int,
        keep_alive: bool,
        proxy: str | None,
    ) -> None:
        """Begin without connections.

        Args:
            tls: the certificates to trust.
            connect_timeout_s: how long connecting may take: name, TCP, proxy and TLS together.
            max_connections: how many requests may be under way; further requests wait.
            keep_alive: whether a connection is kept for the next request.
            proxy: the URL of an HTTP proxy.
        """
        # The pool has no limit: waiting for its connections would count as time of connecting.
        self._room = asyncio.Semaphore(max_connections)
        # One entry a host, of which Customer.io has two.
        self._origins: dict[str, URL] = {}
        connector = _Connector(
            ssl=tls,
            limit=0,
            force_close=not keep_alive,
            keepalive_timeout=KEEP_ALIVE_S if keep_alive else None,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_DEFAULT_HEADERS,
            # Above the threshold aiohttp would round up to whole seconds.
            timeout=aiohttp.ClientTimeout(
                total=None, connect=connect_timeout_s, sock_connect=None, ceil_threshold=1e9
            ),
            middlewares=[_send_once],
            proxy=proxy,
        )

    async def exchange(
        self,
        attempt: Attempt,
        method: str,
        origin: str,
        target: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
    ) -> HttpResponse:
        """Send a request once, as in Connections."""
        async with self._room:
            if self._session.closed:
                raise ExchangeFailed(Failed.READ)
            _attempt.set(attempt)
            response = await self._session.request(
                method,
                self._url(origin, target),
                headers=headers,
                data=body or None,
                allow_redirects=False,
            )
            try:
                content, whole = await read_at_most(response.content.iter_any())
            except (aiohttp.ClientError, OSError) as fault:
                raise ExchangeFailed(Failed.READ) from fault
            finally:
                # Before the end of the body, this closes the connection.
                response.close()
            return HttpResponse(response.status, _by_lower_case(response.headers), content, whole)

    def _url(self, origin: str, target: str) -> URL:
        """Return a URL as it is to be sent. Parsing it anew takes three times as long as replacing the path."""
        if "?" in target:
            return URL(origin + target, encoded=True)
        url = self._origins.get(origin)
        if url is None:
            url = self._origins[origin] = URL(origin, encoded=True)
        return url.with_path(target, encoded=True)

    async def aclose(self) -> None:
        """Close all connections, as in Connections."""
        await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Replaces a connection on which bytes came before the request: they would be taken for its response.

    Overrides `connect`, the documented method by which a session gets a connection. A test holds its parameters
    (tests/delivery/test_transport_connections.py), and other tests there fail if a session does not call it.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._used: WeakSet[Any] = WeakSet()
        """The protocols of connections that had a request."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's name
    ) -> Connection:
        """Return a kept connection that is silent, or a new one. Note which of the two it is."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            kept = protocol in self._used
            _attempt.get().connected = not kept
            if not _spoke_first(connection, kept=kept):
                if not kept:
                    self._used.add(protocol)
                return connection
            connection.close()
            if not kept:
                raise aiohttp.ClientConnectionError("bytes came before there was a request")


def _spoke_first(connection: Connection, *, kept: bool) -> bool:
    """Return whether a connection without a request has bytes to read, or was closed by its server."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        return True
    if not kept and transport.get_extra_info("sslcontext") is not None:
        return False  # what a TLS handshake leaves to be read are session tickets
    # What the loop has not read yet. (select would not do for numbers above 1,023.)
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _by_lower_case(fields: Mapping[str, str]) -> dict[str, str]:
    """Return header fields by lower-case names; fields of the same name are joined, as RFC 9110 has it."""
    headers: dict[str, str] = {}
    for name, text in fields.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _send_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request once. aiohttp sends it again after some exceptions of its own: they are replaced here.

    Raises:
        ExchangeFailed: there is no head of a response.
    """
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as fault:
        raise _failure(fault) from fault


def _failure(fault: Exception) -> ExchangeFailed:
    match fault:
        case aiohttp.ConnectionTimeoutError():
            return ExchangeFailed(Failed.CONNECT_TIMEOUT)
        case aiohttp.ClientHttpProxyError():
            return ExchangeFailed(Failed.PROXY, str(fault.status))
        case aiohttp.ClientProxyConnectionError():
            return ExchangeFailed(Failed.PROXY)
        case aiohttp.ClientConnectorError() | aiohttp.ClientSSLError():
            return ExchangeFailed(Failed.CONNECT)
        case aiohttp.ServerDisconnectedError():
            broke_off = fault.message != _DISCONNECTED
            return ExchangeFailed(Failed.PROTOCOL if broke_off else Failed.READ)
        case OSError():
            return ExchangeFailed(Failed.READ)
        case _:
            return ExchangeFailed(Failed.PROTOCOL)
