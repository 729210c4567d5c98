"""HTTP/1.1 under httpx by aiohttp: httpx's own transport slows down with every connection it holds."""

import asyncio
import select
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import aiohttp
import httpx
from aiohttp.connector import Connection
from yarl import URL

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]

KEEP_ALIVE_S = 30.0
"""How long an idle connection is kept: load balancers commonly close theirs after 60 s."""

# aiohttp hands what it was asked for to a connector, but nothing of ours with it.
_trace: ContextVar[Trace | None] = ContextVar("trace", default=None)

_DEFAULT_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NO_LIMIT = aiohttp.ClientTimeout(total=None, sock_connect=None)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport over aiohttp's connections. Made where an event loop runs.

    Takes two of httpcore's request extensions: `target`, the bytes of path and query to send as they are; and `trace`,
    awaited with "connection.connect_tcp.started" where a request needs a connection of its own instead of a kept one.
    Raises httpx.ConnectTimeout, ConnectError, ProxyError where no byte of the request was sent; ReadError,
    RemoteProtocolError where it may have arrived. It bounds no time but that of connecting.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext,
        connect_timeout_s: float,
        max_connections: int,
        keep_alive: bool = True,
        proxy: str | None = None,
    ) -> None:
        connector = _Connector(
            connect_timeout_s=connect_timeout_s,
            ssl=ssl_context,
            limit=max_connections,
            force_close=not keep_alive,
            keepalive_timeout=KEEP_ALIVE_S if keep_alive else None,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_DEFAULT_HEADERS,
            timeout=_NO_LIMIT,
            middlewares=[_once],
            proxy=proxy,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _trace.set(request.extensions.get("trace"))
        url = request.url
        target: bytes = request.extensions.get("target") or url.raw_path
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        response = await self._session.request(
            request.method,
            URL(origin + target.decode("ascii"), encoded=True),
            headers=[(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw],
            data=await request.aread() or None,
            allow_redirects=False,
        )
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response),
            request=request,
        )

    async def aclose(self) -> None:
        await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Says when it connects, and bounds all of it: name, TCP, proxy and TLS together.

    A kept connection on which something came that nobody asked for is closed: it would be the next request's answer.
    """

    def __init__(self, *, connect_timeout_s: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._connect_timeout_s = connect_timeout_s
        self._used: WeakSet[Any] = WeakSet()
        """Those that had a request already."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - its name
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            kept = protocol in self._used
            if not _spoke_first(connection, kept=kept):
                self._used.add(protocol)
                return connection
            connection.close()
            if not kept:
                raise aiohttp.ClientConnectionError("bytes came before there was a request")

    async def _create_connection(self, *args: Any, **named: Any) -> Any:
        if trace := _trace.get():
            await trace("connection.connect_tcp.started", {})
        async with asyncio.timeout(self._connect_timeout_s):
            return await super()._create_connection(*args, **named)


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


class _Body(httpx.AsyncByteStream):
    """The body of an answer. Closed before its end, it takes the connection with it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except aiohttp.ClientError as fault:
            raise httpx.ReadError(str(fault)) from fault

    async def aclose(self) -> None:
        self._response.close()


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Sends a request one time, with httpx's errors: those of its own aiohttp takes as leave to send again."""
    try:
        return await send(request)
    except aiohttp.ConnectionTimeoutError as fault:
        raise httpx.ConnectTimeout(str(fault)) from fault
    except aiohttp.ClientHttpProxyError as fault:
        raise httpx.ProxyError(f"{fault.status} {fault.message}") from fault
    except aiohttp.ClientProxyConnectionError as fault:
        raise httpx.ProxyError(str(fault)) from fault
    except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError) as fault:
        raise httpx.ConnectError(str(fault)) from fault
    except aiohttp.ServerDisconnectedError as fault:
        if fault.message != _DISCONNECTED:
            raise httpx.RemoteProtocolError("The head of the answer broke off") from fault
        raise httpx.ReadError(_DISCONNECTED) from fault
    except OSError as fault:
        raise httpx.ReadError(str(fault)) from fault
    except aiohttp.ClientError as fault:
        raise httpx.RemoteProtocolError(str(fault)) from fault


_DISCONNECTED = str(aiohttp.ServerDisconnectedError())
