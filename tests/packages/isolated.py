"""Environments and processes that know nothing of the checkout."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 200


def run(
    *command: str | Path, cwd: Path | None = None, limit_s: float = LIMIT_S, **further: str
) -> subprocess.CompletedProcess[str]:
    """Run a program from start to end, without the repository's constraints and choice of an implementation."""
    own = ("PIP_CONSTRAINT", "CIOSIDECAR_NATIVE")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | further,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


def new_environment(folder: Path) -> Path:
    """Make a virtual environment, and return its Python."""
    done = run(sys.executable, "-m", "venv", folder)
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "python"


def give_up(reason: str) -> None:
    """Skip the test; with REQUIRE_ALL set, fail it."""
    (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)(reason)


def require_index() -> None:
    """Skip the test where pip cannot fetch what builds need."""
    if problem := _problem_of_the_index():
        give_up(f"pip reaches no package index here: {problem}")


@functools.cache
def _problem_of_the_index() -> str:
    with tempfile.TemporaryDirectory() as folder:
        done = run(
            sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, "hatchling"
        )
    return done.stderr.strip()[-300:] if done.returncode else ""
