"""The command line: parse, call, print. One file a command."""

import os

# gRPC's core reads this when it is imported; its notices are not for whoever reads our stderr.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from .commands import main

__all__ = ["main"]
