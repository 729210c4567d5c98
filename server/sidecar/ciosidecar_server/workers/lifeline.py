"""A worker's side of its parent: its number, and its end if the parent dies."""

import os
import signal
import threading
import time

NUMBER = "_CIOSIDECAR_WORKER"
"""Environment variable with the number of a worker, counted from 1. The parent sets it: no setting begins with _."""

_OVERDUE_S = 5.0


def worker_number() -> int | None:
    """Return the number of this worker; None if this process is no worker."""
    number = os.environ.get(NUMBER, "")
    return int(number) if number.isascii() and number.isdecimal() else None


def end_with_parent(grace_s: float) -> None:
    """Drain this process when its parent has died: stdin is a pipe whose other end only the parent holds.

    The kernel closes that end however the parent dies. A thread waits for it, because the event loop may be busy. Linux's
    PR_SET_PDEATHSIG would do the same, but not on other systems, and it does not notice a parent that died before.

    Args:
        grace_s: The time that the drain may take. If the process still runs 5 seconds later, it is killed.
    """
    threading.Thread(target=_wait_and_end, args=(grace_s,), name="lifeline", daemon=True).start()


def _wait_and_end(grace_s: float) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s + _OVERDUE_S)
    os.kill(os.getpid(), signal.SIGKILL)
