"""The line that `ciosidecar --version` prints."""

import platform
from importlib.metadata import version

from ciosidecar_transform import native

from .. import __version__


def version_line() -> str:
    """Return the version of the sidecar, of what decides how it behaves on the wire, and of how fast."""
    speed = "compiled" if native.module is not None else f"pure Python: {native.reason}"
    return (
        f"ciosidecar {__version__} (Python {platform.python_version()},"
        f" grpcio {version('grpcio')}, protobuf {version('protobuf')}), {speed}"
    )
