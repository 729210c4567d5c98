"""The command line. Each command has its own file."""

import os

from .standard_streams import open_what_is_closed

# Before anything opens a file or a socket.
open_what_is_closed()
# gRPC's core reads this when it is imported. Its notices would be among our lines on stderr.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from .commands import main  # noqa: E402 - needs the streams and the environment above

__all__ = ["main"]
