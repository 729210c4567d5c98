"""The seam between the transport and the HTTP library that holds its connections."""

from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import NamedTuple, Protocol

from .transport import MAX_RESPONSE_BYTES

KEEP_ALIVE_S = 30.0
"""How long an idle connection is kept: load balancers commonly close theirs after 60 s."""


class Failed(Enum):
    """The failure of an exchange."""

    CONNECT_TIMEOUT = "connecting took too long"
    """No byte of the request was sent."""
    CONNECT = "no connection"
    """No byte of the request was sent."""
    PROXY = "the proxy refuses"
    """No byte of the request was sent."""
    READ = "the connection was closed before the first byte of a response, or within its body"
    PROTOCOL = "the response is not HTTP, or breaks off in its head"


class ExchangeFailed(Exception):
    """There is no complete response. The cause says what the system said."""

    def __init__(self, failed: Failed, text: str = "") -> None:
        super().__init__(text)
        self.failed = failed
        self.text = text
        """Of a proxy that refuses: its status."""


class Attempt:
    """One attempt to send a request."""

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False
        """Whether the request has a connection of its own instead of a kept one."""


class HttpResponse(NamedTuple):
    """A response as it came."""

    status: int
    headers: Mapping[str, str]
    """All of them, by lower-case names."""
    body: bytes
    """At most MAX_RESPONSE_BYTES; of a longer body the rest is not read and the connection closed."""
    whole: bool
    """Whether that is all of the body."""


class Connections(Protocol):
    """The connections to all hosts by one proxy, or by none."""

    given_up: frozenset[Failed]
    """What sending fails with on a kept connection that its server has closed."""

    async def exchange(
        self,
        attempt: Attempt,
        method: str,
        origin: str,
        target: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
    ) -> HttpResponse:
        """Send a request once. Nothing but the time of connecting is bounded.

        Args:
            attempt: where to note whether the request needs a new connection.
            method: the HTTP method.
            origin: scheme, host and port.
            target: path and query, to be sent byte for byte.
            headers: the headers beside Content-Length.
            body: the body; b"" for none.

        Raises:
            ExchangeFailed: there is no complete response.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections, also those of requests under way."""


async def read_at_most(chunks: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """Return the first MAX_RESPONSE_BYTES of a body, and whether that is all of it."""
    parts = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            break
    return b"".join(parts)[:MAX_RESPONSE_BYTES], size <= MAX_RESPONSE_BYTES
