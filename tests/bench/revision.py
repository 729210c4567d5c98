"""Another revision of this repository, set up in a temporary worktree."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .machine import log

ROOT = Path(__file__).parents[2]
_SET_UP_WITHIN_S = 900
_TAIL_CHARACTERS = 2_000


class RevisionError(Exception):
    """A revision is not known, or cannot be set up. The text says what to do."""


def resolve(name: str) -> str:
    """Return the commit of a revision.

    Raises:
        RevisionError: This repository has no such revision, or there is no repository.
    """
    command = ("git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    try:
        found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise RevisionError("there is no git on this machine: install it (Debian: git)") from None
    if found.returncode:
        raise RevisionError(
            f"there is no revision {name}: name a commit, a branch or a tag, such as main or HEAD~3."
            " `git log --oneline` lists commits; `git fetch --all --tags` brings those of a remote"
        )
    return found.stdout.strip()


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Set up a commit by its own `make setup`, and yield its interpreter. It is removed again at the end.

    Raises:
        RevisionError: The set-up failed.
    """
    directory = Path(tempfile.mkdtemp(prefix="ciosidecar-bench-"))
    tree = directory / "tree"
    try:
        log(f"compare: setting up {commit[:12]} in {tree}, which takes a minute or two")
        _run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], ROOT, directory)
        _run(["make", "--no-print-directory", "setup"], tree, directory)
        yield tree / ".venv" / "bin" / "python"
    finally:
        _remove(directory, tree)


def _run(command: Sequence[str], cwd: Path, temporary: Path) -> None:
    # In a process group of its own, so that all of it can be ended, and Ctrl-C does not end half of it.
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    try:
        output, _ = process.communicate(timeout=_SET_UP_WITHIN_S)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        tail = output.decode(errors="replace").strip()[-_TAIL_CHARACTERS:]
        raise RevisionError(f"{' '.join(command)} failed with {process.returncode}:\n{tail}")


def _remove(directory: Path, tree: Path) -> None:
    """Remove the worktree. Another Ctrl-C does not leave half of it behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        command = ("git", "worktree", "remove", "--force", "--force", str(tree))
        subprocess.run(command, cwd=ROOT, check=False, capture_output=True, process_group=0)
        shutil.rmtree(directory, ignore_errors=True)
        prune = ("git", "worktree", "prune")
        subprocess.run(prune, cwd=ROOT, check=False, capture_output=True, process_group=0)
    finally:
        signal.signal(signal.SIGINT, before)
