"""The line that `ciosidecar --version` prints."""

import platform

import grpc
from google import protobuf

from .. import __version__


def version_line() -> str:
    """Return the version of the sidecar and of what decides how it behaves on the wire."""
    return (
        f"ciosidecar {__version__} (Python {platform.python_version()}, grpcio {grpc.__version__},"
        f" protobuf {protobuf.__version__})"
    )
