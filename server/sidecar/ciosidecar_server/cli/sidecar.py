"""The sidecar that a command uses: a running one, or one that the command starts."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from ciosidecar import AsyncClient

from ..settings import Settings
from .outcome import EXIT_USAGE, Failed
from .target import Target
from .urls import check_url

_CALLS_END_WITHIN_S = 2.0


def check_destined(target: Target, customerio_url: str | None) -> None:
    """Check that --target and --customerio-url do not contradict each other.

    Raises:
        Failed: Both are given, or the URL is no URL of a host.
    """
    if target.target is not None and customerio_url is not None:
        raise Failed(
            "--target and --customerio-url (or CIOSIDECAR_CUSTOMERIO_URL) exclude each other: a running"
            " sidecar sends to the URL that it was started with",
            EXIT_USAGE,
        )
    check_url(customerio_url)


@asynccontextmanager
async def client_of(
    target: Target, customerio_url: str | None = None
) -> AsyncIterator[AsyncClient]:
    """Return a client of a running sidecar, or of a new one that sends to the URL.

    Raises:
        Failed: The running sidecar cannot be used.
    """
    if target.target is not None:
        async with target.client(target.target) as client:
            yield client
        return
    # The server takes half a second to import. `ciosidecar --help` imports this module alone.
    from ..app import Sidecar  # noqa: PLC0415

    with _temporary_directory() as directory:
        address = f"unix:{directory}/sidecar.sock"
        # The results say what its log would. Without a handler Python would print the warnings.
        logging.getLogger().addHandler(logging.NullHandler())
        sidecar = Sidecar(Settings(listen=(address,), customerio_url=customerio_url))
        await sidecar.start()
        try:
            async with AsyncClient(address) as client:
                yield client
        finally:
            await sidecar.stop_at_once()
            await _calls_end()


def _temporary_directory() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="ciosidecar-")
    except OSError:
        raise Failed(
            "no directory for temporary files can be written, and the sidecar of this command needs one for"
            " its socket: set TMPDIR, or name a running sidecar with --target"
        ) from None


async def _calls_end() -> None:
    """Wait for gRPC's tasks, which briefly outlive a stopped server.

    The end of the event loop would cancel them, and they would print a traceback on stderr.
    """
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        await asyncio.wait(tasks, timeout=_CALLS_END_WITHIN_S)
