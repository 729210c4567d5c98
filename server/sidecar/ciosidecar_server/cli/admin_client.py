"""The admin port of a running sidecar, as `ciosidecar top` and `ciosidecar tap` read it."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from cyclopts import Parameter

from .outcome import EXIT_USAGE, Failed

MAX_LINE_BYTES = 1 << 20
_ANSWER_WITHIN_S = 10.0
_MAX_STATE_BYTES = 64 << 20

AdminAddress = Annotated[str, Parameter(name="--admin")]
"""The option that names the admin port."""


def admin_url(address: str) -> str:
    """Return the URL of an admin port, which is given as host:port or as URL.

    Raises:
        Failed: It is neither.
    """
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "http" and parts.hostname and parts.port
    except ValueError:
        usable = False
    if not usable or parts.path not in ("", "/") or parts.query or parts.username:
        raise Failed(
            "--admin must be host:port, the address that `ciosidecar serve` prints as admin in its ready line",
            EXIT_USAGE,
        )
    return f"http://{parts.netloc}"


class AdminClient:
    """A reader of one admin port."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def state(self) -> bytes:
        """Return the answer of /api/state.

        Raises:
            Failed: There is no answer, or it is an error.
        """
        async with self._get("/api/state", {}, ClientTimeout(_ANSWER_WITHIN_S)) as response:
            answer = b""
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > _MAX_STATE_BYTES:
                    raise Failed("the admin port answers too much: is it the port of a sidecar?")
            return answer

    async def lines(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield the lines of an answer as they come.

        Raises:
            Failed: There is no answer, it is an error, or the connection breaks.
        """
        limits = ClientTimeout(None, sock_connect=_ANSWER_WITHIN_S)
        async with self._get(path, parameters, limits) as response:
            async for line in response.content:
                yield line

    @asynccontextmanager
    async def _get(
        self, path: str, parameters: Mapping[str, str], limits: ClientTimeout
    ) -> AsyncIterator[ClientResponse]:
        try:
            async with self._session.get(
                self._url + path, params=dict(parameters), timeout=limits, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise Failed(await _refusal(response))
                yield response
        except (TimeoutError, ClientError, ValueError, OSError) as problem:
            raise Failed(self._unreachable(problem)) from None

    def _unreachable(self, problem: Exception) -> str:
        number = getattr(problem, "errno", None)
        why = os.strerror(number) if number else str(problem) or "it takes too long"
        return (
            f"no answer from the admin port {self._url}: {_plain(why)}; is `ciosidecar serve` running, and is this"
            " the address that it prints as admin in its ready line? Give it with --admin"
        )


@asynccontextmanager
async def admin_client(address: str) -> AsyncIterator[AdminClient]:
    """Return a reader of an admin port, until the end of the block."""
    url = admin_url(address)
    # Proxies of the environment do not lead to an admin port.
    async with ClientSession(trust_env=False, read_bufsize=MAX_LINE_BYTES) as session:
        yield AdminClient(session, url)


async def _refusal(response: aiohttp.ClientResponse) -> str:
    try:
        answer = await response.json()
        why = str(answer["error"])
    except (ClientError, ValueError, KeyError, TypeError):
        why = f"it answered {response.status}; is it the admin port of a sidecar?"
    return f"the admin port refuses: {_plain(why)}"


def _plain(text: str) -> str:
    """Return a text of another program without what could drive a terminal."""
    return "".join(character for character in text if character.isprintable())[:500]
