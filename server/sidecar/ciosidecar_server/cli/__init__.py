"""The command line. Each command has its own file."""

import gc
import os
import sys

from . import core_dumps
from .interrupts import end_on_ctrl_c
from .standard_streams import open_what_is_closed

_EXIT_USAGE = 2


def main() -> None:
    """Run the command line of this process."""
    # `serve --core-dumps` undoes this once its settings are read.
    core_dumps.forbid()
    # Before anything opens a file or a socket.
    open_what_is_closed()
    # gRPC's core reads this when it is imported. Its notices would be among our lines on stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    end_on_ctrl_c()
    # What is imported stays: to look for garbage in it takes a tenth of the start.
    gc.disable()
    try:
        from .commands import main as commands  # noqa: PLC0415 - needs all of the above
    except ImportError as problem:
        # CIOSIDECAR_NATIVE asks for what is not here. `outcome`, which ends commands, cannot be imported then.
        if problem.name != "ciosidecar_native":
            raise
        sys.stderr.write(f"ciosidecar: {problem}\n")
        sys.exit(_EXIT_USAGE)
    gc.enable()

    commands()


__all__ = ["main"]
