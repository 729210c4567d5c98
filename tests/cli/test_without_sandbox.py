"""The command where ciosidecar-sandbox, and what only it needs, are not installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import TIMEOUT_S

MISSING = ("ciosidecar_sandbox", "httptools", "jinja2", "markupsafe", "starlette", "uvicorn")
# Runs in a process of its own before the command does.
COMMAND_WITHOUT = f"""
import runpy, sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        missing = name.partition(".")[0] in {MISSING!r}
        return None if missing else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = map(Without, sys.meta_path)
runpy.run_module("ciosidecar_server", run_name="__main__")
"""


def without_sandbox(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """The command, from start to end."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND_WITHOUT, *arguments],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("--listen", "127.0.0.1:0"), ("--help",)], ids=" ".join)
def test_the_sandbox_says_how_to_install_it(arguments: tuple[str, ...]) -> None:
    """One sentence on stderr, and the exit code of other errors at the start."""
    done = without_sandbox("sandbox", *arguments)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr == (
        b"ciosidecar: the sandbox is not installed: "
        b"run pip install ciosidecar-sandbox, or make setup in a checkout\n"
    )


def test_the_other_commands_do_without(tmp_path: Path) -> None:
    """A sidecar is started, and transforms."""
    config = tmp_path / "destination.json"
    config.write_text('{"siteID": "site", "apiKey": "key"}')
    event = b'{"type": "track", "userId": "u-1", "event": "Paid"}\n'
    done = without_sandbox("transform", "--config", str(config), stdin=event)
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 1)


def test_help_needs_no_sandbox() -> None:
    """It lists the command all the same."""
    done = without_sandbox("--help")
    assert done.returncode == 0
    assert b"sandbox" in done.stdout
