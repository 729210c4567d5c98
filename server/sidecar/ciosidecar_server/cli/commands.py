"""The command `ciosidecar` with its subcommands."""

import signal
from importlib.util import find_spec

import cyclopts.config
from cyclopts import App, Parameter

from .. import __version__
from .outcome import drop_output, give_up
from .output import CannotWrite, printing

if find_spec("ciosidecar_sandbox") is None:
    from .missing_sandbox import sandbox_app
else:
    from .sandbox import sandbox_app

app = App(
    name="ciosidecar",
    help="Turn RudderStack events into Customer.io requests, and deliver them.",
    version=__version__,
    config=cyclopts.config.Env("CIOSIDECAR_", command=False),
    # No --empty-listen beside --listen: an empty list is of no use for any option.
    default_parameter=Parameter(negative_iterable=()),
)
# By path: a command is imported when it is used. The parent of several workers must not import gRPC.
for command in ("serve", "transform", "deliver", "check", "top", "tap"):
    app.command(f"{__package__}.{command}:{command}", name=command)
app.command(sandbox_app)


def main() -> None:
    """Run the command line of this process."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        with printing():
            app()
    except BrokenPipeError:
        drop_output()
    except CannotWrite as problem:
        give_up(str(problem), problem.code)
