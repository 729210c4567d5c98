"""The command `ciosidecar` with its subcommands."""

import signal
import sys
from importlib.util import find_spec

from cyclopts import App, Parameter

from . import usage_errors
from .completion import add_completion
from .examples import examples
from .outcome import drop_output, give_up
from .output import CannotWrite, OutputConsole, printing
from .settings_report import shown_default
from .settings_sources import SOURCES, SOURCES_OF_ALL
from .version import version_line

if find_spec("ciosidecar_sandbox") is None:
    from .missing_sandbox import sandbox_app
else:
    from .sandbox import sandbox_app


app = App(
    name="ciosidecar",
    help="Turn RudderStack events into Customer.io requests, and deliver them.",
    version_flags=(),
    console=OutputConsole(),
    error_console=usage_errors.stderr,
    error_formatter=usage_errors.usage_error,
    config=SOURCES_OF_ALL,
    # No --empty-listen beside --listen: an empty list is of no use for any option.
    default_parameter=Parameter(negative_iterable=(), show_default=shown_default),
)


@app.command(name="--version")
def version() -> None:
    """Print the version, and which implementation is used."""
    # In one line, which the console would wrap at its width.
    sys.stdout.write(f"{version_line()}\n")


# By path: a command is imported when it is used. The parent of several workers must not import gRPC.
app.command(
    f"{__package__}.serve:serve",
    name="serve",
    config=SOURCES.chain(app),
    help_epilogue=examples("serve"),
)
for command in ("transform", "deliver", "backfill", "check", "health", "top", "tap"):
    app.command(f"{__package__}.{command}:{command}", name=command, help_epilogue=examples(command))
app.command(sandbox_app)
add_completion(app)


def main() -> None:
    """Run the command line of this process."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        with printing():
            if _lists_commands(sys.argv[1:]):
                for name in tuple(app):
                    # Importing a command gives the list its first line.
                    app[name]
            app()
    except BrokenPipeError:
        drop_output()
    except CannotWrite as problem:
        give_up(str(problem), problem.code)


def _lists_commands(words: list[str]) -> bool:
    """Return True for a command line whose help lists the commands."""
    return not words or words[0] in app.help_flags
