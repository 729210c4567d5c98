"""The command `ciosidecar serve --workers N`: the parent of N workers."""

import os

from .. import PROTOCOL_VERSION, __version__
from ..settings import Settings
from ..telemetry import logging
from ..workers.group import Worker, WorkerFailed
from ..workers.supervisor import Interrupted, NotDrained, supervise
from .interrupts import EXIT_INTERRUPTED
from .outcome import EXIT_FAILED, Failed, run
from .output import print_ready


def serve_workers(settings: Settings) -> None:
    """Run the workers until SIGTERM or Ctrl-C. Ctrl-C before they are ready is quiet."""
    try:
        run(_serve_workers(settings))
    except Interrupted:
        raise SystemExit(EXIT_INTERRUPTED) from None


async def _serve_workers(settings: Settings) -> None:
    """Run the workers.

    Raises:
        CannotListen: The addresses of the workers cannot be told apart.
        Failed: A worker did not start, or did not end.
    """
    logging.configure(settings.log_level.upper(), settings.log_format)
    try:
        await supervise(settings, _print_ready)
    except WorkerFailed as problem:
        raise Failed(str(problem), problem.code) from None
    except NotDrained:
        raise Failed("a worker did not end in time and was killed", EXIT_FAILED) from None


def _print_ready(workers: list[Worker], admin: str | None) -> None:
    told = [worker.ready_line for worker in workers if worker.ready_line]
    print_ready(
        listen=[address for line in told for address in line.listen],
        workers=[{"pid": line.pid, "listen": line.listen} for line in told],
        admin=admin,
        protocol=PROTOCOL_VERSION,
        version=__version__,
        pid=os.getpid(),
    )
