"""The command line: parse, call, print. One file a command."""

import os

from .standard_streams import open_what_is_closed

# Before anything opens a file or a socket.
open_what_is_closed()
# gRPC's core reads this when it is imported; its notices are not for whoever reads our stderr.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from .commands import main  # noqa: E402 - after what it must find in place

__all__ = ["main"]
