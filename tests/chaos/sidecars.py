"""The sidecar under chaos: one process after another, killed, stopped, drained and replaced."""

import os
import random
import signal
import threading
import time
from contextlib import ExitStack
from typing import Self

from tests.chaos.books import Fault
from tests.chaos.proxy import Link
from tests.processes import Server, server

KINDS = ("kill", "terminate", "stop", "roll")
"""kill: SIGKILL, then a new one. terminate: SIGTERM, and a new one once it has ended. stop: SIGSTOP, and
SIGCONT later. roll: a new one takes all new connections, then SIGTERM for the old one."""


class Sidecars:
    """The running sidecar, and the links of the callers that lead to it."""

    def __init__(self, flags: tuple[str, ...], env: dict[str, str]) -> None:
        self._flags = flags
        self._env = os.environ | env
        self._links: list[Link] = []
        self._stack = ExitStack()
        self.faults: list[Fault] = []
        self.begun = 0
        """The number of faults that were begun. `faults` has those that ended."""
        self.bad_ends: list[str] = []

    def __enter__(self) -> Self:
        self._server = self._start()
        return self

    def __exit__(self, *failure: object) -> None:
        with self._stack:
            self._end(signal.SIGTERM)

    @property
    def upstream(self) -> tuple[str, int]:
        """Return the address of the running sidecar."""
        host, _, port = self._server.addresses[0].rpartition(":")
        return host, int(port)

    def lead(self, links: list[Link]) -> None:
        """Lead links to the running sidecar, and to each that follows it."""
        self._links = links

    def inject(self, kind: str, dice: random.Random, enough: threading.Event) -> None:
        """Inject a fault, and return once a sidecar runs again."""
        start = time.time()
        self.begun += 1
        if kind == "stop":
            self._server.signal(signal.SIGSTOP)
            enough.wait(dice.uniform(0.2, 6.0))
            self._server.signal(signal.SIGCONT)
        elif kind == "roll":
            old, self._server = self._server, self._start()
            self._point()
            self._end(signal.SIGTERM, old)
        else:
            self._end(signal.SIGKILL if kind == "kill" else signal.SIGTERM)
            self._server = self._start()
            self._point()
        self.faults.append(Fault(kind, "sidecar", start, time.time()))

    def _start(self) -> Server:
        return self._stack.enter_context(
            server("--listen", "127.0.0.1:0", *self._flags, env=dict(self._env), process_group=0)
        )

    def _point(self) -> None:
        for link in self._links:
            link.upstream = self.upstream

    def _end(self, number: signal.Signals, old: Server | None = None) -> None:
        ended = old or self._server
        ended.signal(number)
        code, errors = ended.end()
        expected = -signal.SIGKILL if number is signal.SIGKILL else 0
        if code != expected:
            self.bad_ends.append(f"exit code {code} after {number.name}: {errors[-2000:]}")
        if "Traceback" in errors or '"level":"error"' in errors:
            self.bad_ends.append(f"errors in the log: {errors[-2000:]}")
