"""The transport over HTTP: kept connections, the system's trust, and the proxy that the environment names."""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from .. import __version__
from .connections import (
    Attempt,
    Connections,
    ExchangeFailed,
    Failed,
    HttpResponse,
)
from .content_encoding import decompressed
from .http1_connections import Http1Connections
from .transport import MAX_RESPONSE_BYTES, NoResponse, Response

_URL = re.compile(r"(https?://[A-Za-z0-9._:\[\]-]+)(/[!\"$-~]*)")
# None is decoded by HTTP itself: a body is counted before it is decompressed.
_USUAL_PORTS = {"http": 80, "https": 443}
_OWN_HEADERS = (("User-Agent", f"ciosidecar/{__version__}"), ("Accept-Encoding", "identity"))


class HttpTransport:
    """Transport over HTTP/1.1, or HTTP/2 where the server offers it in TLS.

    SSL_CERT_FILE and SSL_CERT_DIR replace the system's trust. HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are read
    once, here. A proxy is spoken to in HTTP.
    """

    def __init__(
        self, *, connect_timeout_s: float, max_connections: int, http2: bool = False
    ) -> None:
        """Begin without connections.

        Args:
            connect_timeout_s: how long connecting may take of a request's time: name, TCP, proxy and TLS together.
            max_connections: how many connections there may be.
            http2: whether HTTP/2 is spoken where a server offers it. Connecting and TLS are then bounded each.
        """
        self._connect_timeout_s = connect_timeout_s
        self._max_connections = max_connections
        self._http2 = http2
        self._tls = ssl.create_default_context()
        self._proxies = getproxies()
        self._closed = False
        # One entry a host, of which Customer.io has two.
        self._origins: dict[str, _Origin] = {}
        self._routes: dict[str | None, _Route] = {}

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Response:
        """Send a request and return its response, as in Transport."""
        if self._closed:
            raise NoResponse("no connection: closed", timed_out=False)
        if (parts := _URL.fullmatch(url)) is None:
            raise ValueError("not a URL to send to")
        at, target = parts.groups()
        origin = self._origins.get(at) or self._learn(at)
        sent_headers = (("Host", origin.name), *_OWN_HEADERS, *headers.items())
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._exchange(origin, method, target, sent_headers, body)
        except TimeoutError:
            text = f"no answer from {origin.name} within {round(timeout_s, 1) or timeout_s:g} s"
            raise NoResponse(text, timed_out=True) from None
        except ExchangeFailed as failure:
            # Without the cause: its text may quote the URL or a proxy's password.
            timed_out = failure.failed is Failed.CONNECT_TIMEOUT
            text = _text(origin.name, failure, self._connect_timeout_s)
            raise NoResponse(text, timed_out=timed_out) from None
        content, whole = response.body, response.whole
        if encoding := response.headers.get("content-encoding"):
            content, inflated = decompressed(content, encoding, MAX_RESPONSE_BYTES)
            whole = whole and inflated
        return Response(response.status, response.headers, content, whole)

    async def _exchange(
        self,
        origin: "_Origin",
        method: str,
        target: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
    ) -> HttpResponse:
        """Send a request on a kept connection, and on a new one if its server had closed the kept one."""
        kept, new = origin.route
        attempt = Attempt()
        try:
            return await kept.exchange(attempt, method, origin.url, target, headers, body)
        except ExchangeFailed as failure:
            if attempt.connected or self._closed or failure.failed not in kept.given_up:
                raise
        return await new.exchange(attempt, method, origin.url, target, headers, body)

    async def aclose(self) -> None:
        """Close all connections, as in Transport."""
        self._closed = True
        for route in self._routes.values():
            await route.kept.aclose()
            await route.new.aclose()

    def _learn(self, at: str) -> "_Origin":
        """Return an origin that was not sent to before."""
        try:
            url = urlsplit(at)
            host, port = url.hostname, url.port
        except ValueError:
            host = None
        if not host:
            raise ValueError("not a URL to send to")
        name = f"[{host}]" if ":" in host else host
        if port not in (None, _USUAL_PORTS[url.scheme]):
            name = f"{name}:{port}"
        try:
            host.encode("idna")
        except UnicodeError:  # which the resolver lets through instead of its own error
            text = f"no connection to {name}: its name does not resolve"
            raise NoResponse(text, timed_out=False) from None
        origin = self._origins[at] = _Origin(
            f"{url.scheme}://{name}", name, self._route(url.scheme, name)
        )
        return origin

    def _route(self, scheme: str, name: str) -> "_Route":
        """Return the connections by the proxy that the environment names for a host."""
        proxy = None
        if not proxy_bypass(name):
            proxy = self._proxies.get(scheme) or self._proxies.get("all")
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        if proxy and not proxy.startswith("http://"):
            kind = proxy.partition("://")[0]
            text = f"no connection to {name}: a proxy by {kind} is not supported"
            raise NoResponse(text, timed_out=False)
        if (route := self._routes.get(proxy)) is None:
            route = self._routes[proxy] = _Route(
                self._open(proxy, keep_alive=True), self._open(proxy, keep_alive=False)
            )
        return route

    def _open(self, proxy: str | None, *, keep_alive: bool) -> Connections:
        kind: Callable[..., Connections] = Http1Connections
        if self._http2:
            # httpx takes a tenth of the processor time of a start, which few need.
            from .http2_connections import Http2Connections  # noqa: PLC0415

            kind = Http2Connections
        return kind(
            tls=self._tls,
            connect_timeout_s=self._connect_timeout_s,
            max_connections=self._max_connections,
            keep_alive=keep_alive,
            proxy=proxy,
        )


class _Route(NamedTuple):
    """The connections by one proxy, or by none."""

    kept: Connections
    """For a request on a kept connection, where there is one."""
    new: Connections
    """For a request on a connection of its own."""


class _Origin(NamedTuple):
    """A host that was sent to."""

    url: str
    """Scheme, host and port, without the port that the scheme implies."""
    name: str
    """Host and port, as in the Host header."""
    route: _Route


def _text(name: str, failure: ExchangeFailed, connect_timeout_s: float) -> str:
    reason = _reason(failure)
    match failure.failed:
        case Failed.CONNECT_TIMEOUT:
            return f"no connection to {name} within {connect_timeout_s:g} s"
        case Failed.PROXY:
            if failure.text.isdecimal():
                reason = f"it answered {failure.text}"
            return f"no connection to {name} through the proxy: {reason}"
        case Failed.CONNECT:
            return f"no connection to {name}: {reason}"
        case Failed.PROTOCOL:
            return f"no complete HTTP answer from {name}"
        case Failed.READ:
            return f"no complete answer from {name}: {reason}"


def _reason(failure: ExchangeFailed) -> str:
    """Return what the system says of a failure. Texts of exceptions in between may quote a URL or a password."""
    causes: list[BaseException] = []
    cause: BaseException | None = failure
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason}"
        if isinstance(cause, socket.gaierror):
            return "its name does not resolve"
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno)
    return "the connection was closed"
