"""A server in a process of its own, on a core of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

# Read before this process is placed on a core: its children inherit that.
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[0], _CORES[-1]
_ENDS_WITHIN_S = 20
# Linux: what clock_getcpuclockid() makes of a process id, with CPUCLOCK_SCHED.
_CPU_CLOCK_OF_PROCESS = 2


def take_load_core() -> None:
    """Place this process on the core of the load: another one than the servers', if there are two."""
    os.sched_setaffinity(0, {LOAD_CORE})


def started(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start a process. If Ctrl-C comes before it can be ended, it is ended before KeyboardInterrupt is raised."""
    interrupted = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    before = signal.signal(signal.SIGINT, note)
    try:
        process = subprocess.Popen(command, **options)
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        process.kill()
        process.communicate()
        raise KeyboardInterrupt
    return process


class ServerProcess:
    """A server process that prints a ready line, on the core of servers.

    Args:
        command: Arguments of the interpreter.
        python: The interpreter. This one's by default.
        environment: Variables that replace those of this process.

    Raises:
        RuntimeError: The process ended, or printed something else, before it was ready.
    """

    def __init__(
        self,
        *command: str,
        python: str | Path = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        began = time.perf_counter()
        # In a process group of its own: Ctrl-C at the terminal reaches the bench alone, which ends its servers.
        self._process = started(
            [str(python), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | (environment or {}),
            process_group=0,
        )
        self.pid = self._process.pid
        try:
            self.address = self._read_address()
        except BaseException:
            self.stop()
            raise
        self.ready_s = time.perf_counter() - began
        """Seconds from the start of the process to its ready line."""

    def _read_address(self) -> str:
        os.sched_setaffinity(self.pid, {SERVER_CORE})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            address: str = json.loads(line)["listen"][0]
        except (ValueError, KeyError) as fault:
            words = " ".join(map(str, self._process.args))  # type: ignore[arg-type]
            raise RuntimeError(f"{words} printed no ready line, but {line!r}") from fault
        return address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process, by force if it does not end in time."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=_ENDS_WITHIN_S)
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise

    def cpu_s(self) -> float:
        """Return the CPU time of the process so far, in nanoseconds, with that of threads that ended."""
        return time.clock_gettime(~self.pid << 3 | _CPU_CLOCK_OF_PROCESS)

    def memory_bytes(self) -> int:
        """Return the resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
