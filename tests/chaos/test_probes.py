"""The probes note when a program gets no CPU, and take no injected fault for that."""

import ctypes
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from tests.chaos.books import Fault
from tests.chaos.probes import LATE_S, Probes
from tests.chaos.proxy import Proxy
from tests.chaos.sidecars import Sidecars
from tests.sandbox.support import sandbox_process
from tests.security.pem import NAMES, Files
from tests.security.watching import wait_until

pytestmark = pytest.mark.serial
HELD_S = 1.2
"""How long a program is held. It is noted from the time at which its next probe was due."""


class Programs(NamedTuple):
    """The programs that a run of chaos has."""

    probes: Probes
    between: Proxy
    sidecars: Sidecars
    sandbox_pid: int


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    """The programs, with the probes of all."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = trustme.CA()
        ca = directory / "ca.pem"
        authority.cert_pem.write_to_path(str(ca))
        flags = Files(directory).write(authority.issue_cert(*NAMES)).flags
        sandbox = stack.enter_context(sandbox_process(*flags))
        between = stack.enter_context(Proxy())
        sidecars = stack.enter_context(Sidecars((*flags, "--log-level", "error"), {}))
        probes = stack.enter_context(Probes(between, sandbox.url, sidecars, ca))
        yield Programs(probes, between, sidecars, sandbox.process.pid)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a program while the block lasts. No checker knows of it: it is no injected fault."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def hold(programs: Programs, program: str) -> None:
    """Keep a program from running for a while."""
    if program == "machine":
        # A call of PyDLL holds the interpreter's lock: no thread of this process runs.
        ctypes.PyDLL(None).usleep(int(HELD_S * 1e6))
    elif program == "proxy":

        async def block() -> None:
            time.sleep(HELD_S)  # noqa: ASYNC251 - blocks the proxy's event loop

        programs.between.run(block)
    else:
        pid = programs.sandbox_pid if program == "sandbox" else sidecar_pid(programs)
        with stopped(pid):
            time.sleep(HELD_S)


def sidecar_pid(programs: Programs) -> int:
    """The process of the running sidecar."""
    return int(programs.sidecars._server.process.pid)


def noted(programs: Programs, program: str, at: float) -> list[Fault]:
    """The times in which a program got no CPU that hold a moment."""
    found = list(programs.probes.starved)
    return [one for one in found if one.link == program and one.start < at < one.end]


@pytest.mark.parametrize("program", ["machine", "proxy", "sandbox", "sidecar"])
def test_a_program_that_is_held_is_noted(programs: Programs, program: str) -> None:
    """Under its name, from before the middle of the time in which it was held."""
    start = time.time()
    hold(programs, program)
    middle = start + HELD_S / 2
    wait_until(lambda: bool(noted(programs, program, middle)))
    assert noted(programs, program, middle)[0].end - start > LATE_S


def test_an_injected_fault_of_the_sidecar_is_no_starvation(programs: Programs) -> None:
    """Stopped or killed. The sidecar that follows a killed one is probed again."""
    dice = random.Random(2)
    assert random.Random(2).uniform(0.2, 6.0) > LATE_S
    for kind in ("stop", "kill"):
        enough = threading.Event()
        timer = threading.Timer(HELD_S, enough.set)
        timer.start()
        programs.sidecars.inject(kind, dice, enough)
        timer.join()
    faults = programs.sidecars.faults[-2:]
    start = time.time()
    hold(programs, "sidecar")
    middle = start + HELD_S / 2
    wait_until(lambda: bool(noted(programs, "sidecar", middle)))
    for fault in faults:
        assert noted(programs, "sidecar", (fault.start + fault.end) / 2) == []
