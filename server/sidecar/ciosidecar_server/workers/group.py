"""All workers of a sidecar: they start together, are started again when they die, and drain together."""

import asyncio
import os
import signal
import time
from dataclasses import replace

from ..settings import Settings
from ..telemetry.logging import get_logger
from .process import ReadyLine, WorkerProcess, manner_of
from .restarts import RestartBackoff
from .shares import settings_of_workers

_OVERDUE_S = 5.0
_KILL_AFTER_S = 2.0

_log = get_logger("ciosidecar")


class WorkerFailed(Exception):
    """A worker ended before it was ever ready. The worker itself has said why on stderr."""

    def __init__(self, number: int, reason: str, code: int = 1) -> None:
        super().__init__(f"worker {number} did not start: {reason}")
        self.reason = reason
        self.code = code if code > 0 else 1
        """The exit code for the parent: the worker's, or 1 after a signal."""


class Worker:
    """One of the workers: a process, and its successors when it dies. The addresses stay the same."""

    def __init__(self, number: int, settings: Settings) -> None:
        self.number = number
        """Counted from 1."""
        self.restarts = 0
        """Number of times that it was started again."""
        self.ready_line: ReadyLine | None = None
        """What the running process said; None while it is not ready."""
        self._settings = settings
        self._backoff = RestartBackoff()
        self._spawning: asyncio.Task[WorkerProcess] | None = None
        self._ready_at = 0.0

    @property
    def listen(self) -> tuple[str, ...]:
        """Return the addresses, with the ports that were taken once it was ready."""
        return self._settings.listen

    async def start(self) -> None:
        """Start a process, and wait until it listens.

        Raises:
            WorkerFailed: The process ended before, or was killed because it took longer than --worker-start-timeout-s.
        """
        self._spawning = asyncio.create_task(WorkerProcess.start(self.number, self._settings))
        # Whoever cancels this must not lose a process that is being started.
        try:
            process = await asyncio.shield(self._spawning)
        except OSError as problem:
            raise WorkerFailed(self.number, f"no process could be made: {_why(problem)}") from None
        within_s = self._settings.worker_start_timeout_s
        try:
            async with asyncio.timeout(within_s):
                ready_line = await process.ready()
        except TimeoutError:
            # SIGTERM would not end a process that hangs or is stopped.
            process.signal(signal.SIGKILL)
            await process.ended()
            reason = f"not ready within {within_s:g} s, and killed"
            raise WorkerFailed(self.number, reason) from None
        if ready_line is None:
            code = await process.ended()
            raise WorkerFailed(self.number, manner_of(code), code)
        # A successor takes the same ports: callers know these.
        self._settings = replace(self._settings, listen=ready_line.listen)
        self._ready_at = time.monotonic()
        self.ready_line = ready_line

    async def keep(self) -> None:
        """Start another process whenever one has died, until this is cancelled."""
        failure = ""
        while True:
            await self._until_it_dies(failure)
            self.restarts += 1
            try:
                await self.start()
            except WorkerFailed as problem:
                failure = problem.reason
                continue
            failure = ""
            _log.warning("worker is ready again", worker=self.number)

    async def _until_it_dies(self, failure: str) -> None:
        """Wait for the end of the process, and for the time at which another one may start.

        Args:
            failure: Why the latest process was never ready; "" if it was.
        """
        process = await self.spawned()
        code = None if process is None else await process.ended()
        ran_s = time.monotonic() - self._ready_at if self.ready_line else 0.0
        self.ready_line = None
        delay_s = self._backoff.next_delay_s(ran_s)
        _log.error(
            "worker died" if process else "worker cannot be started",
            worker=self.number,
            pid=process.pid if process else None,
            reason=failure or (None if code is None else manner_of(code)),
            restart_in_s=round(delay_s, 2),
        )
        await asyncio.sleep(delay_s)

    async def spawned(self) -> WorkerProcess | None:
        """Return the latest process, once it has been started; None if there is none."""
        if self._spawning is None:
            return None
        try:
            return await asyncio.shield(self._spawning)
        except OSError:
            return None

    async def ended(self) -> None:
        """Wait until no process runs."""
        process = await self.spawned()
        if process is not None:
            await process.ended()
        self.ready_line = None

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        process = await self.spawned()
        if process is not None:
            process.signal(number)


def _why(problem: OSError) -> str:
    # uvloop loses the number of some errors.
    number = problem.errno or 0
    return os.strerror(number) if number > 0 else "no descriptor or memory"


class WorkerGroup:
    """All workers."""

    def __init__(self, settings: Settings) -> None:
        """Plan the workers; none runs yet.

        Raises:
            CannotListen: Their addresses cannot be told apart.
        """
        self._grace_s = settings.grace_s
        shares = settings_of_workers(settings)
        self.share = shares[0]
        """The settings of one worker; those of the others differ in the addresses only."""
        self.workers = [Worker(number, share) for number, share in enumerate(shares, 1)]
        self.draining = False
        """Whether the workers are about to end."""
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all workers. The first one goes ahead: what keeps all of them from starting is then said once.

        Raises:
            WorkerFailed: A worker ended before it was ready.
        """
        first, *others = self.workers
        await first.start()
        await asyncio.gather(*(worker.start() for worker in others))
        self._keepers = [asyncio.create_task(worker.keep()) for worker in self.workers]

    async def reload(self) -> None:
        """Forward SIGHUP to the workers that are ready. A worker that starts reads all files anyway."""
        for worker in self.workers:
            if worker.ready_line is not None:
                await worker.signal(signal.SIGHUP)

    async def drain(self) -> bool:
        """Let every worker finish what it received.

        Returns:
            True if all ended within the grace and 5 seconds; False if some had to be killed.
        """
        await self._stop_keeping()
        return await self._end(signal.SIGTERM, self._grace_s + _OVERDUE_S)

    async def end_at_once(self) -> None:
        """End every worker within 2 seconds. A worker that drains ends at once."""
        await self._stop_keeping()
        await self._end(signal.SIGTERM, _KILL_AFTER_S)

    async def _stop_keeping(self) -> None:
        self.draining = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _end(self, number: signal.Signals, within_s: float) -> bool:
        for worker in self.workers:
            await worker.signal(number)
        endings = {asyncio.create_task(worker.ended()): worker for worker in self.workers}
        _, late = await asyncio.wait(endings, timeout=within_s)
        for ending in late:
            _log.error("worker did not end in time and is killed", worker=endings[ending].number)
            await endings[ending].signal(signal.SIGKILL)
        await asyncio.gather(*late)
        return not late
