"""Whether the process has a file descriptor left. Without one, gRPC accepts no connection, and says nothing of it."""

import asyncio
import errno
import os
import resource
import time

from .logging import get_logger

LOOK_S = 1.0
_LOG_EVERY_S = 60.0

_log = get_logger("ciosidecar")


class Descriptors:
    """A look for a free descriptor every second. It costs one system call or two."""

    def __init__(self) -> None:
        """Begin as if there were enough descriptors."""
        self._handle: asyncio.TimerHandle | None = None
        self._none_since: float | None = None
        self._logged_at = float("-inf")
        self._told = False

    def start(self) -> None:
        """Begin to look, in the running event loop."""
        self._handle = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _look(self) -> None:
        now = time.monotonic()
        if _none_left():
            self._none_since = now if self._none_since is None else self._none_since
            if not self._told and now - self._logged_at >= _LOG_EVERY_S:
                self._told, self._logged_at = True, now
                _log.error(
                    "no file descriptor is left: new connections wait or fail; raise the limit of open files"
                    " (ulimit -n, LimitNOFILE), or lower --max-connections",
                    limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                )
        elif self._none_since is not None:
            if self._told:
                _log.info(
                    "file descriptors are left again", exhausted_s=round(now - self._none_since, 1)
                )
            self._none_since, self._told = None, False
        self.start()


def _none_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as problem:
        return problem.errno in (errno.EMFILE, errno.ENFILE)
    return False
