"""The local engine: processes of this machine, or this process alone for one worker."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import TypeVar

from ..errors import BackfillFailed

Task = TypeVar("Task")
Result = TypeVar("Result")


class LocalEngine:
    """Tasks in processes, which are started anew and not forked: gRPC does not survive a fork."""

    def __init__(self, *, workers: int | None = None) -> None:
        """Create the engine. workers: the number of processes; 1 for none beside this one."""
        self._workers = len(os.sched_getaffinity(0)) if workers is None else workers
        self._pool: ProcessPoolExecutor | None = None
        self._before = set(multiprocessing.active_children())

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield the results of the tasks in any order."""
        if self._workers == 1:
            yield from map(function, tasks)
            return
        pool = self._started()
        waiting = iter(tasks)
        running: set[Future[Result]] = set()
        try:
            while True:
                # One task more than there are processes, so that none of them waits for this one.
                for task in waiting:
                    with _without_ctrl_c():
                        running.add(pool.submit(function, task))
                    if len(running) > self._workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            raise BackfillFailed(
                "a worker process ended without a result, perhaps because memory ran out (--workers sets their"
                " number): run the same command again to go on"
            ) from None
        finally:
            for future in running:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_worker,
            )
        return self._pool

    def close(self) -> None:
        """End the processes, also in the middle of a task."""
        if self._pool is None:
            return
        for child in set(multiprocessing.active_children()) - self._before:
            child.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back in the block. A process that is started there never gets it: it is the parent's."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _begin_worker() -> None:
    """End if the parent dies."""
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        with suppress(OSError):
            parent.join()
        os._exit(1)
