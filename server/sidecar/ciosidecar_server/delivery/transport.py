"""One HTTP exchange: a request out, its response back, or why there is none. Everything above knows only this seam."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

MAX_RESPONSE_BYTES = 1_048_576
"""How much of a response's body is read; Customer.io's have at most some hundred kilobytes."""


class Response(NamedTuple):
    """A response as it came. A redirect is a response, too."""

    status: int
    headers: Mapping[str, str]
    """All of them, by lower-case names."""
    body: bytes
    """At most MAX_RESPONSE_BYTES; of a longer body the rest is not read and the connection closed."""
    whole: bool = True
    """Whether that is all of the body, out of its Content-Encoding."""


class NoResponse(Exception):
    """No complete response: name, network, proxy, TLS, timeout, a response that is not HTTP.

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
        """Send a request, byte for byte as the URL has it, and return its response.

        A body is sent with its length as soon as it or the method has one: `b""` of a PUT as Content-Length 0.
        Cancelling closes the connection the request was on.

        Args:
            method: the HTTP method.
            url: http or https with a host, and a path of printable ASCII without `#`.
            headers: the headers beside Host, User-Agent, Accept-Encoding and Content-Length.
            body: the body; b"" for none.
            timeout_s: how long the exchange may take, to the last byte of the response.

        Raises:
            NoResponse: there is no complete response within the time.
            ValueError: the URL is another one than described.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections. Requests under way, and later ones, raise NoResponse."""
        ...
