"""Ctrl-C in a delivery: workers of any engine send no more, and take the answers of what they have sent.

A file of the work directory tells them, because it is all that every engine's workers share with the command.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from .files import work_path

_STOP = "stop"
_LOOK_EVERY_S = 0.1
DEFAULT_WAIT_S = 60.0
"""How long answers are awaited if the command has no time limit for a delivery."""
# A sidecar answers at the time limit. The answer then needs a moment.
_MARGIN_S = 2.0


class Interrupted(Exception):
    """The first Ctrl-C: everything that could be answered is answered, and the run is not finished."""


class StopRequest:
    """The request of the command that its workers stop. The command and its workers each have one."""

    def __init__(self, directory: str) -> None:
        self._path = work_path(directory, _STOP)

    def clear(self) -> None:
        """Remove the request of an earlier start."""
        self._path.unlink(missing_ok=True)

    def make(self) -> None:
        """Make the request.

        Raises:
            OSError: The file cannot be written.
        """
        self._path.touch(mode=0o600)

    def is_made(self) -> bool:
        """Return whether the command was interrupted."""
        return self._path.exists()


@contextmanager
def stopping_on_ctrl_c(request: StopRequest, say: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C in the block make the request, and the second one raise KeyboardInterrupt.

    Args:
        request: The request. It is cleared first.
        say: Called at the first Ctrl-C.

    Raises:
        Interrupted: The block has ended after the request.
    """
    request.clear()
    earlier = signal.getsignal(signal.SIGINT)
    interrupted = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            request.make()
        except OSError:
            signal.default_int_handler(number, frame)
        interrupted = True
        say()

    if earlier is not signal.SIG_IGN:  # as it is for a background job
        signal.signal(signal.SIGINT, stop)
    try:
        yield
        if interrupted:
            raise Interrupted
    finally:
        if earlier is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class StopWatch:
    """A thread of a worker that looks for the request."""

    def __init__(
        self,
        request: StopRequest,
        *,
        wait_s: float | None,
        stop: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        """Create the watch.

        Args:
            request: The request.
            wait_s: The time limit of a delivery.
            stop: Called once the request is made.
            give_up: Called if the answers take longer than the time limit.
        """
        self._request = request
        self._wait_s = (DEFAULT_WAIT_S if wait_s is None else wait_s) + _MARGIN_S
        self._stop = stop
        self._give_up = give_up
        self._closed = threading.Event()
        self._requested = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ciosidecar-stop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()

    @property
    def is_requested(self) -> bool:
        """Return whether the command was interrupted."""
        return self._requested.is_set()

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or the command is interrupted."""
        self._requested.wait(seconds)

    def _watch(self) -> None:
        while not self._request.is_made():
            if self._closed.wait(_LOOK_EVERY_S):
                return
        self._requested.set()
        give_up_at = time.monotonic() + self._wait_s
        while not self._closed.wait(_LOOK_EVERY_S):
            # Again and again: a round may just have begun.
            self._stop()
            if time.monotonic() > give_up_at:
                self._give_up()
