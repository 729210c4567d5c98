"""The command `ciosidecar serve`."""

import os
from typing import Annotated

from cyclopts import Parameter

from .. import PROTOCOL_VERSION, __version__
from .. import app as sidecar
from ..settings import Settings
from ..telemetry import logging
from .outcome import run
from .output import print_ready
from .sidecar import check_url


def serve(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> None:  # noqa: B008 - frozen
    """Run the sidecar until SIGTERM or Ctrl-C.

    Prints one line of JSON when it is ready: the addresses and the admin port's address, with the ports that
    were taken, the protocol version and the process id. If the line cannot be written, the exit code is 1. Logs go
    to stderr.

    On SIGTERM or Ctrl-C, open streams are told to finish and have --grace-s seconds for it. A second
    signal ends them at once. The exit code is 0 in both cases.

    Every option can also be set in the environment: CIOSIDECAR_GRACE_S=30.
    """
    run(_serve(settings))


async def _serve(settings: Settings) -> None:
    check_url(settings.customerio_url)
    check_url(settings.customerio_eu_url, "--customerio-eu-url")
    logging.configure(settings.log_level.upper(), settings.log_format)
    await sidecar.serve(settings, _print_ready)


def _print_ready(addresses: list[str], admin: str | None) -> None:
    print_ready(
        listen=addresses,
        admin=admin,
        protocol=PROTOCOL_VERSION,
        version=__version__,
        pid=os.getpid(),
    )
