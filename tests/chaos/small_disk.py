"""A disk that is small enough to be full: a tmpfs in a mount namespace of its own."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_UNSHARE = ("unshare", "--map-root-user", "--mount")
_COMMAND_WITHIN_S = 30


@functools.cache
def _problem_of_this_machine() -> str:
    """Return why no mount namespace can be made here, or ""."""
    for tool in ("unshare", "nsenter", "mount"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    done = subprocess.run(
        [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        timeout=_COMMAND_WITHIN_S,
        check=False,
    )
    return done.stderr.strip() if done.returncode else ""


class SmallDisk:
    """A small disk at a directory that only the processes of its namespace see."""

    def __init__(self, directory: Path, holder: int) -> None:
        self.directory = directory
        """The disk, as the processes of the namespace see it."""
        self.seen = Path(f"/proc/{holder}/root{directory}")
        """The disk, as the test sees it."""
        self.before = (
            *("nsenter", "--preserve-credentials", "--user", "--mount"),
            *("--target", str(holder)),
        )
        """The command by which another command runs in the namespace."""

    def grow(self, size: str) -> None:
        """Give the disk another size, such as 64k."""
        command = [*self.before, "mount", "-o", f"remount,size={size}", str(self.directory)]
        subprocess.run(command, check=True, timeout=_COMMAND_WITHIN_S)

    def fill(self, but_bytes: int = 0) -> None:
        """Write a file that leaves so many bytes, to the next page."""
        with (self.seen / "filler").open("wb", buffering=0) as filler:
            status = os.statvfs(self.seen)
            pages = status.f_bavail - but_bytes // status.f_bsize
            filler.write(bytes(pages * status.f_bsize))

    def free(self) -> None:
        """Remove that file."""
        (self.seen / "filler").unlink()


@contextmanager
def small_disk(directory: Path, size: str, *, files: int = 0) -> Iterator[SmallDisk]:
    """Mount a small disk while the block lasts. Skips the test where that is not permitted.

    Args:
        directory: Where to mount the disk.
        size: The size, such as 64k.
        files: How many files there may be, the disk's own directory included. 0: any number.
    """
    if problem := _problem_of_this_machine():
        skip = pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip
        skip(f"no disk can be mounted on this machine: {problem}")
    options = f"size={size}" + (f",nr_inodes={files}" if files else "")
    mount = f'mount -t tmpfs -o {options} tmpfs "$1" && echo mounted && exec cat'
    with subprocess.Popen(
        [*_UNSHARE, "sh", "-c", mount, "sh", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"mounted\n"
            yield SmallDisk(directory, holder.pid)
        finally:
            holder.kill()
