"""The line that `ciosidecar --version` prints."""

import platform
from importlib.metadata import version

from .. import __version__


def version_line() -> str:
    """Return the version of the sidecar and of what decides how it behaves on the wire."""
    return (
        f"ciosidecar {__version__} (Python {platform.python_version()},"
        f" grpcio {version('grpcio')}, protobuf {version('protobuf')})"
    )
