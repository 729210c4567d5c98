"""The command line. Each command has its own file."""

import os

from . import core_dumps
from .interrupts import end_on_ctrl_c
from .standard_streams import open_what_is_closed


def main() -> None:
    """Run the command line of this process."""
    # `serve --core-dumps` undoes this once its settings are read.
    core_dumps.forbid()
    # Before anything opens a file or a socket.
    open_what_is_closed()
    # gRPC's core reads this when it is imported. Its notices would be among our lines on stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    end_on_ctrl_c()
    from .commands import main as commands  # noqa: PLC0415 - needs all of the above

    commands()


__all__ = ["main"]
