"""The command `ciosidecar serve`."""

import gc
import logging as standard_logging
import os
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .. import PROTOCOL_VERSION, __version__
from ..settings import Settings
from ..telemetry import logging
from ..workers.lifeline import end_with_parent, worker_number
from . import core_dumps
from .interrupts import end_on_ctrl_c
from .outcome import run, say
from .output import print_ready
from .settings_refusal import refuse_wrong
from .settings_sources import SOURCES

_log = standard_logging.getLogger(__name__)


def serve(
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008 - frozen
    *,
    settings_file: Annotated[Path | None, Parameter(name="--settings")] = None,
    check: Annotated[bool, Parameter(negative=(), show_env_var=False)] = False,
    json: Annotated[bool, Parameter(negative=(), show_env_var=False)] = False,
) -> None:
    """Run the sidecar until SIGTERM or Ctrl-C.

    Prints one line of JSON when it is ready: the addresses and the admin port's address, with the ports that
    were taken, the protocol version and the process id. If the line cannot be written, the exit code is 1. Logs go
    to stderr.

    On SIGTERM or Ctrl-C, open streams are told to finish and have --grace-s seconds for it. A second
    signal ends them at once. The exit code is 0 in both cases. Ctrl-C before the server is ready ends it
    with exit code 130. If an address, a certificate or a token file cannot be used, the exit code is 1. It
    is 2 for a wrong option, and for an address that other machines can reach without TLS or --insecure.

    With --workers 4, four processes listen: on 127.0.0.1:50550 to 50553, or on PATH-1 to PATH-4. The
    ready line has all addresses, for clients to take as a list. A worker that dies is started again.

    Every option can also be set in the environment, CIOSIDECAR_GRACE_S=30, and in a file of
    --settings, grace_s = 30. A flag wins over the environment, and the environment over the file.

    Args:
        settings: The settings of the server.
        settings_file: TOML file with settings: the names of these options with _ for -.
        check: Do not start. Check the settings, and the files that they name, and print the settings
            in effect and where each comes from. The exit code is 2 if these keep the sidecar from
            starting. Ports are not tried: a taken one is no error here. The rate store is tried; if it
            does not work now, that is said and is no error, because the sidecar would start.
        json: With --check, print one line of JSON.
    """
    del settings_file  # read before the command runs: it is the last source of the other options
    refuse_wrong(settings, SOURCES)
    if check:
        run(_check(settings, json=json))
        return
    if settings.core_dumps:
        core_dumps.allow()
    # Until the files can be read again, SIGHUP would end the process. They are read later than this.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if settings.workers > 1:
        from .serve_workers import serve_workers  # noqa: PLC0415 - one process needs none of it

        serve_workers(settings)
    else:
        run(_serve(settings))


async def _check(settings: Settings, *, json: bool) -> None:
    # As below.
    from ..rate_store.opening import error_of  # noqa: PLC0415
    from .settings_check import check_files  # noqa: PLC0415
    from .settings_report import show_settings  # noqa: PLC0415

    for sentence in SOURCES.unknown_variables():
        say(sentence, "yellow")
    notes = check_files(settings)
    for sentence in notes.sentences():
        say(sentence, "yellow")
    store_error = await error_of(settings)
    if store_error is not None:
        say(
            f"the rate store of --rate-store does not work now ({store_error}): the sidecar would start and keep to"
            " its share of the rate",
            "yellow",
        )
    show_settings(settings, SOURCES, notes, store_error, json=json)


async def _serve(settings: Settings) -> None:
    end_on_ctrl_c()
    worker = worker_number()
    if worker is not None:
        end_with_parent(settings.grace_s)
    gc.disable()
    # The parent of several workers must not import gRPC.
    from .. import app as sidecar  # noqa: PLC0415

    # What is imported stays. Without this, the collector looks through it now and then, and holds the event loop for
    # some 50 ms each time.
    gc.freeze()
    gc.enable()
    logging.configure(settings.log_level.upper(), settings.log_format, worker)
    if worker in (None, 1):  # all workers have the same environment
        for sentence in SOURCES.unknown_variables():
            _log.warning("%s", sentence)
    await sidecar.serve(settings, _print_ready)


def _print_ready(addresses: list[str], admin: str | None) -> None:
    print_ready(
        listen=addresses,
        admin=admin,
        protocol=PROTOCOL_VERSION,
        version=__version__,
        pid=os.getpid(),
    )
