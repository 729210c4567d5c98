"""The probes notice a program that gets no CPU, and take no injected fault for that."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from tests.chaos.probes import LATE_S, Probes
from tests.chaos.proxy import Proxy
from tests.chaos.sidecars import Sidecars
from tests.processes import TIMEOUT_S
from tests.sandbox.support import Process, sandbox_process
from tests.security.pem import NAMES, Files, ca_file
from tests.security.watching import wait_until

pytestmark = pytest.mark.serial

STOPPED_S = 3 * LATE_S


class Programs:
    """A sandbox and a sidecar, the proxy, and the probes that watch them."""

    def __init__(self, sandbox: Process, serving: Sidecars, probes: Probes) -> None:
        self.sandbox = sandbox
        self.serving = serving
        self.probes = probes

    def stopped(self, name: str) -> list[float]:
        """Return the seconds in which a program got no CPU, each longer than any machine's usual."""
        found = [one.end - one.start for one in self.probes.starved if one.link == name]
        return [seconds for seconds in found if seconds > STOPPED_S - 0.1]


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Run them all while the test lasts."""
    authority = trustme.CA()
    files = Files(tmp_path).write(authority.issue_cert(*NAMES))
    ca = ca_file(tmp_path, authority)
    with ExitStack() as stack:
        sandbox = stack.enter_context(sandbox_process(*files.flags))
        between = stack.enter_context(Proxy())
        flags = (*files.flags, "--customerio-url", sandbox.url)
        serving = stack.enter_context(Sidecars(flags, {"SSL_CERT_FILE": str(ca)}))
        probes = stack.enter_context(Probes(between, sandbox.url, serving, ca))
        yield Programs(sandbox, serving, probes)


def while_stopped(send: Callable[[signal.Signals], None]) -> None:
    """Give a program no CPU for a while."""
    send(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    send(signal.SIGCONT)


def test_a_sandbox_that_gets_no_cpu_is_noticed(programs: Programs) -> None:
    """With the time."""
    while_stopped(programs.sandbox.process.send_signal)
    wait_until(lambda: bool(programs.stopped("sandbox")))


def test_a_sidecar_that_gets_no_cpu_is_noticed_unless_that_is_an_injected_fault(
    programs: Programs,
) -> None:
    """An injected fault explains itself, and only at its time."""
    long = random.Random(1)
    long.uniform = lambda _least, _most: STOPPED_S  # type: ignore[method-assign]
    programs.serving.inject("stop", long, threading.Event())
    while_stopped(programs.serving.signal)
    wait_until(lambda: bool(programs.stopped("sidecar")))
    (fault,) = programs.serving.faults
    assert all(
        one.start >= fault.end - LATE_S for one in programs.probes.starved if one.link == "sidecar"
    )
