"""A process as in a container: process 1, on a read-only root, without rights, home or environment."""

import functools
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

UNSHARE = ("unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child")
_READ_ONLY = "mount -o remount,ro,bind / && "
_WITHOUT_RIGHTS = (
    "setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all --clear-groups"
)


@functools.cache
def problem_of_this_machine() -> str:
    """Return why no process can be contained here, or ""."""
    for tool in ("unshare", "setpriv"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", f"{_READ_ONLY}{_WITHOUT_RIGHTS} true"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr.strip() if done.returncode else ""


def _user(user: str, program: Path) -> str:
    """The options that change the user, where that user can reach the program and its Python."""
    number = user.partition(":")[0]
    options = f"--reuid={number} --regid={number}"
    # By way of env: setpriv itself still has root's rights when it looks for the program.
    python = program.with_name("python")
    reached = subprocess.run(
        ["setpriv", *shlex.split(options), "--clear-groups", "env", "-i", str(python), "-c", ""],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return options if reached.returncode == 0 else ""


def command(words: list[str], environment: dict[str, str], user: str) -> list[str]:
    """Return the command that starts a program in a container. Skip the test where there can be none."""
    if problem := problem_of_this_machine():
        pytest.skip(f"no process can be contained on this machine: {problem}")
    own = [f"{name}={value}" for name, value in environment.items()]
    contained = shlex.join(["env", "-i", *own, *words])
    rights = f"{_WITHOUT_RIGHTS} {_user(user, Path(words[0]))}"
    return [*UNSHARE, "sh", "-c", f"{_READ_ONLY}cd / && exec {rights} {contained}"]


def signal_first_process(unshare: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Send a signal to process 1 of the container."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
    (first,) = map(int, children)
    subprocess.run(["kill", f"-{number.value}", str(first)], check=True)
