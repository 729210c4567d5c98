"""One HTTP exchange: a request out, its answer back, or why there is none. Everything above knows only this seam."""

import asyncio
import functools
import logging
import os
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from .. import __version__
from .aiohttp_transport import KEEP_ALIVE_S, AiohttpTransport
from .content_encoding import decompressed

MAX_RESPONSE_BYTES = 1_048_576
"""Of an answer's body, this much is read; Customer.io's have at most some hundred kilobytes."""

_URL = re.compile(r"(https?://[A-Za-z0-9._:\[\]-]+)(/[!\"$-~]*)")
_USER_AGENT = b"ciosidecar/" + __version__.encode()

# What sending on a kept connection ends with when its server has closed it, before the first byte of an answer.
_GIVEN_UP = (httpx.ReadError, httpx.WriteError)
# httpcore says the same of that and of an answer that makes no sense: the latter is asked for once more, too.
_GIVEN_UP_HTTP2 = (*_GIVEN_UP, httpx.RemoteProtocolError)

# httpx logs URLs, which hold user ids; hpack logs header values, which hold credentials.
for _name in ("httpx", "httpcore", "hpack"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Response(NamedTuple):
    """What came back, as it came: redirects are answers, too."""

    status: int
    headers: Mapping[str, str]
    """All of them, by lower-case names."""
    body: bytes
    """At most MAX_RESPONSE_BYTES; of a longer one the rest is not read and the connection closed."""
    whole: bool = True
    """Whether that is all of the body, out of its Content-Encoding."""


class NoResponse(Exception):
    """No answer, or not all of one: name, network, proxy, TLS, timeout, an answer that is not HTTP.

    The request may have arrived nevertheless, unless the text begins with "no connection".
    """

    def __init__(self, text: str, *, timed_out: bool) -> None:
        super().__init__(text)
        self.text = text
        """Safe to show: the host and what happened, and nothing of path, query, headers or body."""
        self.timed_out = timed_out


class Transport(Protocol):
    """Sends requests. Several at a time may be under way."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Response:
        """The answer to one request, its body included, within `timeout_s` seconds from now. Raises NoResponse.

        The URL is sent byte for byte. Raises ValueError for one that is not http or https with a host and a path of
        printable ASCII without `#`. A body is sent with its length as soon as it or the method has one: `b""` of a PUT
        as Content-Length 0. Cancelling closes the connection the request was on.
        """
        ...

    async def aclose(self) -> None:
        """Closes all connections; requests under way, and any later one, come to NoResponse."""
        ...


class HttpxTransport:
    """Transport over httpx: kept connections, the system's trust, and the proxy that the environment names.

    Connecting (name, TCP, proxy and TLS together) may take `connect_timeout_s` seconds of a request's time. HTTP/1.1
    goes over aiohttp's connections. With `http2`, httpx's own speak it to servers that offer it in TLS; connecting and
    TLS are then bounded each. SSL_CERT_FILE and SSL_CERT_DIR replace the system's trust; HTTP_PROXY, HTTPS_PROXY,
    ALL_PROXY and NO_PROXY are read once, here; a proxy is spoken to in HTTP.
    """

    def __init__(
        self, *, connect_timeout_s: float, max_connections: int, http2: bool = False
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._max_connections = max_connections
        self._http2 = http2
        self._tls = ssl.create_default_context()
        self._proxies = getproxies()
        self._given_up = _GIVEN_UP_HTTP2 if http2 else _GIVEN_UP
        self._timeout = httpx.Timeout(None, connect=connect_timeout_s).as_dict()
        self._closed = False
        # One entry a host, of which Customer.io has two.
        self._origins: dict[str, _Origin] = {}
        self._ways: dict[str | None, _Ways] = {}

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Response:
        """As in Transport."""
        if self._closed:
            raise NoResponse("no connection: closed", timed_out=False)
        if (parts := _URL.fullmatch(url)) is None:
            raise ValueError("not a URL to send to")
        at, target = parts.groups()
        origin = self._origins.get(at) or self._learn(at)
        attempt = _Attempt()
        request = httpx.Request(
            method,
            _whole(url, target) if self._http2 else origin.url,
            headers=_headers(origin.host, tuple(headers.items())),
            stream=httpx.ByteStream(body),
            extensions={"timeout": self._timeout, "trace": attempt.trace},
        )
        if self._http2:
            request.headers["Content-Length"] = str(len(body))
        else:
            request.extensions["target"] = target.encode("ascii")
        try:
            async with asyncio.timeout(timeout_s):
                try:
                    response = await origin.ways.kept.handle_async_request(request)
                except self._given_up:
                    if attempt.connected or self._closed:
                        raise
                    # A kept connection that its server had already given up: not the request's fault.
                    response = await origin.ways.new.handle_async_request(request)
                # Straight from the stream: by way of the response it costs 10 µs more.
                found, whole = await _body(cast("httpx.AsyncByteStream", response.stream))
                if encoding := response.headers.get("content-encoding"):
                    found, inflated = decompressed(found, encoding, MAX_RESPONSE_BYTES)
                    whole = whole and inflated
                return Response(response.status_code, response.headers, found, whole)
        except httpx.ConnectTimeout:
            text = f"no connection to {origin.name} within {self._connect_timeout_s:g} s"
            raise NoResponse(text, timed_out=True) from None
        except TimeoutError:
            text = f"no answer from {origin.name} within {timeout_s:g} s"
            raise NoResponse(text, timed_out=True) from None
        except httpx.TransportError as fault:
            # Without the cause: its text may quote the URL or a proxy's password.
            raise NoResponse(_text(origin.name, fault), timed_out=False) from None

    async def aclose(self) -> None:
        """As in Transport."""
        self._closed = True
        for ways in self._ways.values():
            await ways.kept.aclose()
            await ways.new.aclose()

    def _learn(self, at: str) -> "_Origin":
        try:
            url = httpx.URL(at)
        except httpx.InvalidURL:
            raise ValueError("not a URL to send to") from None
        name = url.netloc.decode("ascii")
        try:
            url.host.encode("idna")
        except UnicodeError:  # which the resolver lets through instead of its own error
            text = f"no connection to {name}: its name does not resolve"
            raise NoResponse(text, timed_out=False) from None
        proxy = None
        if not proxy_bypass(name):
            proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        if proxy and not proxy.startswith("http://"):
            kind = proxy.partition("://")[0]
            text = f"no connection to {name}: a proxy by {kind} is not supported"
            raise NoResponse(text, timed_out=False)
        if (ways := self._ways.get(proxy)) is None:
            open_way = functools.partial(self._open_way, proxy=proxy)
            ways = self._ways[proxy] = _Ways(open_way(keep_alive=True), open_way(keep_alive=False))
        origin = self._origins[at] = _Origin(url, name, url.netloc, ways)
        return origin

    def _open_way(self, *, proxy: str | None, keep_alive: bool) -> httpx.AsyncBaseTransport:
        if self._http2:
            return httpx.AsyncHTTPTransport(
                verify=self._tls,
                trust_env=False,
                http2=True,
                proxy=proxy,
                limits=httpx.Limits(
                    max_connections=self._max_connections,
                    max_keepalive_connections=self._max_connections if keep_alive else 0,
                    keepalive_expiry=KEEP_ALIVE_S,
                ),
            )
        return AiohttpTransport(
            ssl_context=self._tls,
            connect_timeout_s=self._connect_timeout_s,
            max_connections=self._max_connections,
            keep_alive=keep_alive,
            proxy=proxy,
        )


class _Ways(NamedTuple):
    """How requests leave by one proxy, or by none."""

    kept: httpx.AsyncBaseTransport
    """On a kept connection where there is one."""
    new: httpx.AsyncBaseTransport
    """On a connection of the request's own."""


class _Origin(NamedTuple):
    url: httpx.URL
    name: str
    host: bytes
    ways: _Ways


class _Attempt:
    """Whether a request has needed a connection of its own."""

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:  # noqa: ARG002
        """httpcore's trace extension; aiohttp's side keeps to it, too."""
        if event == "connection.connect_tcp.started":
            self.connected = True


def _whole(url: str, target: str) -> httpx.URL:
    """The URL as httpx has it, where that is the same: httpcore would send a `target` of ours to a proxy as well."""
    found = httpx.URL(url)
    if found.raw_path != target.encode("ascii"):
        raise ValueError("not a URL to send to in HTTP/2")
    return found


@functools.lru_cache(maxsize=1024)
def _headers(host: bytes, given: tuple[tuple[str, str], ...]) -> httpx.Headers:
    """The same for all requests of a template, which is why they are kept."""
    lines = [(b"Host", host), (b"User-Agent", _USER_AGENT), (b"Accept-Encoding", b"identity")]
    lines += [(name.encode("ascii"), value.encode("latin-1")) for name, value in given]
    return httpx.Headers(lines)


async def _body(stream: httpx.AsyncByteStream) -> tuple[bytes, bool]:
    """Return the body, and whether that is all of it."""
    chunks = []
    size = 0
    try:
        async for chunk in stream:
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                break
    finally:
        await stream.aclose()
    return b"".join(chunks)[:MAX_RESPONSE_BYTES], size <= MAX_RESPONSE_BYTES


def _text(name: str, fault: httpx.TransportError) -> str:
    reason = _reason(fault)
    if isinstance(fault, httpx.ProxyError):
        if refused := re.match("[0-9]{3}", str(fault)):
            reason = f"it answered {refused[0]}"
        return f"no connection to {name} through the proxy: {reason}"
    if isinstance(fault, httpx.ConnectError):
        return f"no connection to {name}: {reason}"
    if isinstance(fault, httpx.RemoteProtocolError):
        return f"no complete HTTP answer from {name}"
    return f"no complete answer from {name}: {reason}"


def _reason(fault: BaseException) -> str:
    """What the system says about it, from the bottom of what led to it: texts in between quote more than they may."""
    causes = []
    cause: BaseException | None = fault
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
