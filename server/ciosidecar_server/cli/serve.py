"""`ciosidecar serve`."""

import asyncio
import logging
import os
from typing import Annotated

from cyclopts import Parameter

from .. import PROTOCOL_VERSION, __version__
from .. import app as sidecar
from ..settings import Settings
from .outcome import EXIT_USAGE, Failed, print_json, run
from .sidecar import check_url


def serve(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> None:  # noqa: B008 - frozen
    """Run the sidecar until SIGTERM or Ctrl-C.

    Prints one line of JSON when it is ready: the addresses really bound, the protocol version and
    the process id. Logs go to stderr. On SIGTERM or Ctrl-C open streams are told to drain and get
    --grace seconds to finish; a second signal ends them at once. The exit code is 0 either way.

    Every option can also be set in the environment: CIOSIDECAR_GRACE_S=30.
    """
    run(_serve(settings))


async def _serve(settings: Settings) -> None:
    level = settings.log_level.upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise Failed("--log-level must be debug, info, warning or error", EXIT_USAGE)
    check_url(settings.customerio_url)
    check_url(settings.customerio_eu_url, "--customerio-eu-url")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ready = asyncio.get_running_loop().create_future()
    ready.add_done_callback(_print_ready)
    await sidecar.serve(settings, ready)


def _print_ready(ready: "asyncio.Future[list[str]]") -> None:
    print_json(
        {
            "ready": True,
            "listen": ready.result(),
            "protocol": PROTOCOL_VERSION,
            "version": __version__,
            "pid": os.getpid(),
        }
    )
