"""The progress of partitions that are being delivered, which may take hours each."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import MsgspecError

from .delivery_progress import last_state
from .files import work_path

_EVERY_S = 1.0


@contextmanager
def watching(directory: str, report: Callable[[int], None]) -> Iterator[None]:
    """Report every second, from a thread, how many events of unfinished partitions have a final answer.

    Args:
        directory: The output directory.
        report: Called with the number.
    """
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(_EVERY_S):
            report(_events(work_path(directory, "")))

    thread = threading.Thread(target=watch, name="ciosidecar-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _events(work: Path) -> int:
    events = 0
    for path in work.glob("progress-*"):
        with suppress(OSError, MsgspecError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                events += last_state(descriptor).events
            finally:
                os.close(descriptor)
    return events
