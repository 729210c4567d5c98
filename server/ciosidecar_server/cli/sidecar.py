"""Whom a command talks to: a sidecar that runs, or one that is started for the call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Annotated
from urllib.parse import urlsplit

from ciosidecar import AsyncClient
from cyclopts import Parameter

from ..app import Sidecar
from ..settings import Settings
from .outcome import EXIT_USAGE, Failed

_CALLS_END_WITHIN_S = 2.0

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
    """Raises Failed for what is no URL of a host."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Failed(f"{flag} must be http://host:port or https://host:port", EXIT_USAGE)


def check_destined(target: str | None, customerio_url: str | None) -> None:
    """Raises Failed where it is not the caller's to say where requests go, or what he says is no URL."""
    if target is not None and customerio_url is not None:
        raise Failed(
            "--target and --customerio-url (or CIOSIDECAR_CUSTOMERIO_URL) exclude each other: where a"
            " running sidecar sends to was settled when it was started, by its own --customerio-url",
            EXIT_USAGE,
        )
    check_url(customerio_url)


@asynccontextmanager
async def client_of(
    target: str | None, customerio_url: str | None = None
) -> AsyncIterator[AsyncClient]:
    """A client of a running sidecar, or of one started for the occasion, which sends to the URL."""
    if target is not None:
        async with AsyncClient(target) as client:
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
