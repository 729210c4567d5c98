"""Whom a command talks to: a sidecar that runs, or one that is started for the call."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address
from tempfile import TemporaryDirectory
from typing import Annotated

from ciosidecar import AsyncClient
from cyclopts import Parameter

from ..app import Sidecar
from ..settings import Settings
from .outcome import EXIT_USAGE, Failed

_CALLS_END_WITHIN_S = 2.0
_HOST_URL = re.compile(
    r"https?://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)

Target = Annotated[
    str | None,
    Parameter(help="Address of a running sidecar. Without it, one is started for this call."),
]
CustomerioUrl = Annotated[
    str | None,
    Parameter(
        help="Where the sidecar that is started for this call sends to, in place of Customer.io:"
        " the sandbox's URL, for instance."
    ),
]


def check_url(url: str | None, flag: str = "--customerio-url") -> None:
    """Raise Failed for what is no URL of a host alone. The URL is not quoted: it may hold a password."""
    if url is not None and not _is_host_url(url):
        raise Failed(
            f"{flag} must be http://host:port or https://host:port and nothing else: no path, no"
            " query, no user, no blank; a host with other letters than a to z in its xn-- form",
            EXIT_USAGE,
        )


def _is_host_url(url: str) -> bool:
    found = _HOST_URL.fullmatch(url)
    if found is None:
        return False
    if found["ipv6"]:
        try:
            IPv6Address(found["ipv6"])
        except ValueError:
            return False
    return found["port"] is None or 0 < int(found["port"]) < 65_536


def check_destined(target: str | None, customerio_url: str | None) -> None:
    """Raises Failed where it is not the caller's to say where requests go, or what he says is no URL."""
    if target is not None and customerio_url is not None:
        raise Failed(
            "--target and --customerio-url (or CIOSIDECAR_CUSTOMERIO_URL) exclude each other: where a"
            " running sidecar sends to was settled when it was started, by its own --customerio-url",
            EXIT_USAGE,
        )
    check_url(customerio_url)


def _client(target: str) -> AsyncClient:
    try:
        return AsyncClient(target)
    except ValueError as fault:
        raise Failed(f"--target (or CIOSIDECAR_TARGET): {fault}", EXIT_USAGE) from None


@asynccontextmanager
async def client_of(
    target: str | None, customerio_url: str | None = None
) -> AsyncIterator[AsyncClient]:
    """A client of a running sidecar, or of one started for the occasion, which sends to the URL."""
    if target is not None:
        async with _client(target) as client:
            yield client
        return
    with TemporaryDirectory(prefix="ciosidecar-") as directory:
        address = f"unix:{directory}/sidecar.sock"
        sidecar = Sidecar(Settings(listen=(address,), customerio_url=customerio_url))
        await sidecar.start()
        try:
            async with AsyncClient(address) as client:
                yield client
        finally:
            await sidecar.stop_at_once()
            await _calls_end()


async def _calls_end() -> None:
    """gRPC's tasks outlive a server that has stopped, by a moment.

    If the event loop ended first, it would break into them, and they would say so on stderr.
    """
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        await asyncio.wait(rest, timeout=_CALLS_END_WITHIN_S)
