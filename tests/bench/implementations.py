"""The servers that are compared: an echo, and the sidecar in each implementation that is installed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .machine import log

SERVE = (
    *("-m", "ciosidecar_server", "serve", "--listen", "127.0.0.1:0"),
    *("--admin-listen", "127.0.0.1:0", "--log-level", "error"),
)
ECHO = ("-m", "tests.bench.echo_server")

ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "compiled": {"CIOSIDECAR_NATIVE": "require"},
    "python": {"CIOSIDECAR_NATIVE": "never"},
}
"""The environment that demands each implementation, by its name in the JSON."""
LABELS = {"echo": "echo", "compiled": "compiled", "python": "pure Python"}


def compiled_is_missing(python: str | Path = sys.executable) -> str | None:
    """Return why an environment cannot run the compiled implementation, or None if it can."""
    code = "import sys; from ciosidecar_transform import native; sys.exit(native.reason or 0)"
    found = subprocess.run(
        [str(python), "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"CIOSIDECAR_NATIVE": "auto"},
        process_group=0,  # Ctrl-C at the terminal is not the package's fault
    )
    return found.stderr.strip().rpartition("\n")[2] if found.returncode else None


def installed() -> list[str]:
    """Return the names of the implementations that this environment can run; log what is left out."""
    if reason := compiled_is_missing():
        log(f"LEFT OUT: the compiled implementation: {reason}")
        return ["python"]
    return list(ENVIRONMENTS)
