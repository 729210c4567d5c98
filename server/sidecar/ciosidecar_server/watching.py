"""Files that are read again when they change: certificates, tokens, destinations."""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

_LOOK_S = 1.0
# The times of files come from a clock that is a few milliseconds behind.
_CLOCK_MARGIN_NS = 20_000_000
_Stamp = tuple[int, int, int, int] | None
_NOT_FOR_LONG = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
"""Why a file cannot be opened at the moment, although nothing is wrong with it."""


class FileWatch:
    """Files that belong together. A callback runs in the event loop after one of them changed.

    The files are looked at every second. That also notices what inotify does not: a file on NFS, a bind mount, and the
    symbolic links that Kubernetes exchanges in a mounted secret.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        changed: Callable[[], None],
        looked: Callable[[], None] | None = None,
    ) -> None:
        """Remember the files as they are now.

        Args:
            paths: the files. One that is missing counts as changed once it appears.
            changed: called after a change, once the files have been the same for a second and can be opened. It MUST
                NOT raise.
            looked: called every second, for what changes with time alone. Optional. It MUST NOT raise.
        """
        self._paths = tuple(paths)
        self._changed = changed
        self._looked = looked
        self._reported = self._seen = self._stamps()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def replace(self, paths: Iterable[Path], read_from_ns: int) -> None:
        """Look at these files from now on. A file that was looked at before keeps what is known of it.

        Args:
            paths: the files.
            read_from_ns: when their reading began, in nanoseconds since 1970. A file that is new here counts as changed
                if it changed after that: the reading may have been before the change.
        """
        reported = dict(zip(self._paths, self._reported, strict=True))
        self._paths = tuple(paths)
        self._seen = self._stamps()
        changed_from_ns = read_from_ns - _CLOCK_MARGIN_NS
        self._reported = tuple(
            reported[path]
            if path in reported
            else (None if stamp is not None and stamp[1] >= changed_from_ns else stamp)
            for path, stamp in zip(self._paths, self._seen, strict=True)
        )

    async def aclose(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def look(self) -> None:
        """Call the callback if the files differ from those of the last call, and are the same as a second ago."""
        stamps = self._stamps()
        # A key and its certificate are two files: their writer gets a second for the second one.
        settled, self._seen = stamps == self._seen, stamps
        if settled and stamps != self._reported and all(map(_can_be_opened, self._paths)):
            self._reported = stamps
            self._changed()
        if self._looked is not None:
            self._looked()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                self.look()
            except Exception as fault:  # noqa: BLE001 - a fault must not end the watch
                report_fault(fault)

    def _stamps(self) -> tuple[_Stamp, ...]:
        return tuple(_stamp(path) for path in self._paths)


def report_fault(fault: Exception) -> None:
    """Log a fault of our own in the reading of files, without its text, which may quote them."""
    message = "files that changed could not be read again"
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": fault})


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return None
    # A file that could not be read for its permissions has another change time once they are mended.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _can_be_opened(path: Path) -> bool:
    """Return False if a file cannot be opened at the moment, for example because no descriptor is left."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as problem:
        return not (isinstance(problem, OSError) and problem.errno in _NOT_FOR_LONG)
    os.close(descriptor)
    return True
