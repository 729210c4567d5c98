"""Real processes: the command as a user starts it, ended by process id whatever happens."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

COMMAND = (sys.executable, "-m", "ciosidecar_server")
TIMEOUT_S = 60
# Every process that a test starts inherits it: the default port may be taken, also by another test.
os.environ.setdefault("CIOSIDECAR_ADMIN_LISTEN", "127.0.0.1:0")


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used, by the clock that Linux keeps for it (MAKE_PROCESS_CPUCLOCK)."""
    return time.clock_gettime((~pid << 3) | 2)


class Server:
    """`ciosidecar serve` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", errors: IO[bytes]) -> None:
        self.process = process
        self._errors = errors
        assert process.stdout is not None
        self.ready_line: dict[str, Any] = json.loads(process.stdout.readline() or "{}")

    @property
    def addresses(self) -> list[str]:
        """Return the addresses that the server says it listens on."""
        return list(self.ready_line["listen"])

    @property
    def admin(self) -> str:
        """Return the URL of its admin port."""
        return f"http://{self.ready_line['admin']}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def errors(self) -> str:
        """Return stderr so far."""
        return os.pread(self._errors.fileno(), 1 << 24, 0).decode()

    def end(self) -> tuple[int, str]:
        """Return the exit code and stderr, once it ends; without the lines of a slow event loop: the machine is."""
        code, errors = self.end_in_full()
        lines = errors.splitlines(keepends=True)
        return code, "".join(line for line in lines if "the event loop is slow" not in line)

    def end_in_full(self) -> tuple[int, str]:
        """Return the exit code and stderr, once it ends."""
        self.process.communicate(timeout=TIMEOUT_S)
        self._errors.seek(0)
        return self.process.returncode, self._errors.read().decode()


@contextmanager
def server(
    *arguments: str,
    env: dict[str, str] | None = None,
    before: Sequence[str] = (),
    process_group: int | None = None,
) -> Iterator[Server]:
    """Yield a server with the given arguments; ended at the latest with the block.

    before: a command that becomes the server, with the server's own command as its last arguments.
    With process_group=0, Ctrl-C on the terminal does not reach it.
    """
    # A file takes any number of lines; a pipe that nobody reads would hold the server up.
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*before, *COMMAND, "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=env,
            process_group=process_group,
        ) as process,
    ):
        try:
            yield Server(process, errors)
        finally:
            process.kill()


def run(*arguments: str, stdin: bytes = b"", **found: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a command from start to end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        **found,
    )
