"""Connections that speak HTTP/2 where the server offers it in TLS, by httpx."""

import logging
import ssl
from collections.abc import Mapping
from typing import Any, cast

import httpx

from .connections import KEEP_ALIVE_S, Attempt, ExchangeFailed, Failed, HttpResponse, read_at_most

# httpx logs URLs, which hold user ids; hpack logs header values, which hold credentials.
for _name in ("httpx", "httpcore", "hpack"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Http2Connections:
    """Connections as in Connections. Connecting and TLS are bounded each."""

    # httpcore raises the same error for a connection that its server has closed and for a response that is not HTTP.
    given_up = frozenset((Failed.READ, Failed.PROTOCOL))

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        connect_timeout_s: float,
        max_connections: int,
        keep_alive: bool,
        proxy: str | None,
    ) -> None:
        """Begin without connections. The arguments are those of Http1Connections."""
        self._timeout = httpx.Timeout(None, connect=connect_timeout_s).as_dict()
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls,
            trust_env=False,
            http2=True,
            proxy=proxy,
            limits=httpx.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_connections if keep_alive else 0,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
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
        """Send a request once, as in Connections.

        Raises:
            ExchangeFailed: there is no complete response.
            ValueError: httpx would send another target.
        """

        async def trace(event: str, info: Mapping[str, Any]) -> None:  # noqa: ARG001 - httpcore's signature
            if event == "connection.connect_tcp.started":
                attempt.connected = True

        url = httpx.URL(origin + target)
        if url.raw_path != target.encode("ascii"):
            # httpcore's `target` extension would not help: it is sent to a proxy as well.
            raise ValueError("not a URL to send to in HTTP/2")
        request = httpx.Request(
            method,
            url,
            headers=[*headers, ("Content-Length", str(len(body)))],
            stream=httpx.ByteStream(body),
            extensions={"timeout": self._timeout, "trace": trace},
        )
        try:
            response = await self._transport.handle_async_request(request)
            try:
                stream = cast("httpx.AsyncByteStream", response.stream)
                content, whole = await read_at_most(aiter(stream))
            finally:
                await response.aclose()
        except httpx.TransportError as fault:
            raise _failure(fault) from fault
        return HttpResponse(response.status_code, response.headers, content, whole)

    async def aclose(self) -> None:
        """Close all connections, as in Connections."""
        await self._transport.aclose()


def _failure(fault: httpx.TransportError) -> ExchangeFailed:
    match fault:
        case httpx.ConnectTimeout():
            return ExchangeFailed(Failed.CONNECT_TIMEOUT)
        case httpx.ProxyError():
            return ExchangeFailed(Failed.PROXY, str(fault)[:3])
        case httpx.ConnectError():
            return ExchangeFailed(Failed.CONNECT)
        case httpx.RemoteProtocolError():
            return ExchangeFailed(Failed.PROTOCOL)
        case _:
            return ExchangeFailed(Failed.READ)
