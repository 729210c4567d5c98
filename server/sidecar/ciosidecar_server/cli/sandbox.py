"""The command `ciosidecar sandbox`."""

import logging
import os
from typing import Annotated

import cyclopts.config
from ciosidecar_sandbox.settings import CannotStart, SandboxSettings, UnusableSettings
from cyclopts import App, Parameter

from .. import __version__
from .examples import examples
from .outcome import EXIT_USAGE, Failed, run
from .output import print_ready

sandbox_app = App(
    name="sandbox",
    help_epilogue=examples("sandbox"),
    # The prefix differs from that of `serve`: CIOSIDECAR_LISTEN is the address of `serve`.
    config=cyclopts.config.Env("CIOSIDECAR_SANDBOX_", command=False),
)


@sandbox_app.default
def sandbox(
    settings: Annotated[SandboxSettings, Parameter(name="*")] = SandboxSettings(),  # noqa: B008 - frozen
) -> None:
    """Run a local simulator of Customer.io, in memory, until SIGTERM or Ctrl-C.

    The sandbox accepts all calls of the Track API, v1 and v2, and shows their effects on a web page.
    It prints one line of JSON when it is ready: the URL with the port that was taken, the version
    and the process id.

    Every option can also be set in the environment: CIOSIDECAR_SANDBOX_KEEP=1000.
    """
    run(_sandbox(settings))


async def _sandbox(settings: SandboxSettings) -> None:
    from ciosidecar_sandbox import server  # noqa: PLC0415 - the other commands need no web framework

    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        await server.run(settings, _print_ready)
    except UnusableSettings as problem:
        raise Failed(str(problem), EXIT_USAGE) from None
    except CannotStart as problem:
        raise Failed(str(problem)) from None


def _print_ready(url: str) -> None:
    print_ready(url=url, version=__version__, pid=os.getpid())
