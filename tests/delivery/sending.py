"""What tests of the transport begin with: one of their own, the request that most send, and who answers it."""

import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trustme
from ciosidecar_server.delivery.http_transport import HttpTransport
from ciosidecar_server.delivery.rate_limiter import SendLimits
from ciosidecar_server.delivery.transport import Response

from tests.fake_customerio import Connection

AUTHORIZATION = "Basic " + b64encode(b"site:a-secret-key").decode()
HEADERS = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
PATH = "/api/v1/customers/u1"
LIMITS = SendLimits(rate_per_s=100, concurrency=10, request_timeout_s=10, linger_s=0.005)


@asynccontextmanager
async def transport(**settings: Any) -> AsyncIterator[HttpTransport]:
    """Yield a transport, closed with the block."""
    found = HttpTransport(**{"connect_timeout_s": 5, "max_connections": 100} | settings)
    try:
        yield found
    finally:
        await found.aclose()


async def send(
    to: HttpTransport,
    url: str,
    body: bytes = b"{}",
    *,
    method: str = "PUT",
    headers: dict[str, str] | None = None,
    timeout_s: float = 10,
) -> Response:
    """Send a request as a destination's would be."""
    return await to.send(method, url, headers or HEADERS, body, timeout_s=timeout_s)


async def answering(connection: Connection) -> None:
    """Answer every request with 200."""
    while await connection.request():
        await connection.answer(200, b"{}")


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Fail if the block takes longer."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return a server's side of TLS, with a certificate for a name by the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context
