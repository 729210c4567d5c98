"""One worker process, from its start to its end."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Self

import msgspec

from ..settings import Settings
from .lifeline import NUMBER
from .shares import flags, secrets, variables


class ReadyLine(msgspec.Struct, frozen=True):
    """What a worker says when it is ready. Members of the line that the parent does not need are ignored."""

    listen: tuple[str, ...]
    pid: int
    admin: str | None = None


class WorkerProcess:
    """A process that runs `ciosidecar serve`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._output: asyncio.Task[bytes] | None = None

    @classmethod
    async def start(cls, number: int, settings: Settings) -> Self:
        """Start the process of a worker.

        Args:
            number: The number of the worker, counted from 1.
            settings: The settings of this worker.

        Raises:
            OSError: The system makes no process: it has no memory or descriptor left, or Python is gone.
        """
        # The parent tells systemd of readiness once all workers are ready.
        left_out = variables() | {"NOTIFY_SOCKET"}
        environment = {name: text for name, text in os.environ.items() if name not in left_out}
        return cls(
            await asyncio.create_subprocess_exec(
                # -P: unlike the command, -m would import modules from the current directory.
                *(sys.executable, "-P", "-m", "ciosidecar_server", "serve", *flags(settings)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment | secrets(settings) | {NUMBER: str(number)},
                # Ctrl-C in a terminal is for the parent alone, which forwards it once.
                start_new_session=True,
            )
        )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    async def ready(self) -> ReadyLine | None:
        """Wait until the worker listens. Return what it says, or None if it ended before."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                continue  # a line that is longer than asyncio reads, and longer than any ready line
            if not line:
                return None
            # A module of the operator's may print, and a worker that is killed may leave half a line.
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                ready_line = msgspec.json.decode(line, type=ReadyLine)
                # A full pipe would stop a worker that prints more.
                self._output = asyncio.create_task(self._process.stdout.read())
                return ready_line

    async def ended(self) -> int:
        """Wait until the process has ended. Return its exit code, negative for a signal."""
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def manner_of(code: int) -> str:
    """Return in words how a process ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
