"""No descriptor is left: connections in use go on, everything else is told to come again, and it recovers."""

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
import trustme

from tests.chaos.beside import (
    HEALTHY,
    IN_TIME_S,
    LOOPBACK,
    MAY_BE_SENT_AGAIN,
    capabilities,
    code_of_a_call,
    event,
    healthy_beside,
    stream_to,
)
from tests.chaos.processes import cpu_s
from tests.fake_customerio import fake_customerio
from tests.processes import server
from tests.security.pem import NAMES, Files, serial_of
from tests.security.test_tls import serial_at
from tests.security.watching import log_of, wait_for_log, wait_until

pytestmark = pytest.mark.serial

EXHAUSTED_S = 2.0
MOST_LINES = 20
NONE_LEFT = "no file descriptor is left"


@contextmanager
def no_descriptor_left(pid: int) -> Iterator[None]:
    """Take away the descriptors that a process does not use yet, while the block lasts."""
    highest = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    _, most = former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    lowest_free = next(number for number in range(highest + 2) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, most))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, former)


async def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """A caller beside it notices nothing. A new caller and a new connection to Customer.io fail as retryable."""
    authority = trustme.CA()
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    files = Files(tmp_path).write(authority.issue_cert(*NAMES))
    renewed = authority.issue_cert(*NAMES)
    async with fake_customerio() as customerio, fake_customerio() as other:
        urls = ("--customerio-url", customerio.url, "--customerio-eu-url", other.url)
        with server(*LOOPBACK, *files.flags, *urls) as running:
            (address,) = running.addresses
            pid = running.process.pid
            async with (
                healthy_beside(address, HEALTHY, credentials) as healthy,
                stream_to(address, credentials=credentials) as caller,
            ):
                await other.arrived(1)
                with no_descriptor_left(pid):
                    began_at, began_s = time.monotonic(), cpu_s(pid)
                    files.write(renewed)
                    new_caller = asyncio.ensure_future(
                        code_of_a_call(address, partial(capabilities, timeout_s=2), credentials)
                    )
                    for number in range(1, 6):
                        await caller.send(number, event(f"E{number}", f"u{number}"), timeout_s=1)
                    for number in range(1, 6):
                        told = await caller.told(number)
                        assert told.detail.error.retryable, told.code
                    assert "Too many open files" in (await caller.told(1)).delivery.reason
                    assert await new_caller in MAY_BE_SENT_AGAIN
                    await wait_for_log(running, NONE_LEFT)
                    await asyncio.sleep(EXHAUSTED_S)
                    used_s = cpu_s(pid) - began_s
                    assert used_s < (time.monotonic() - began_at) / 2
                    assert healthy.slowest_s < IN_TIME_S
                await wait_for_log(running, "file descriptors are left again")
                await asyncio.to_thread(
                    wait_until, lambda: serial_at(address) == serial_of(renewed)
                )
                await caller.send(9, event("E9", "u9"))
                assert (await caller.told(9)).status == 200
            log = log_of(running)
    assert log.count(NONE_LEFT) == 1
    assert log.count("workspace down") <= 1
    assert len(log.splitlines()) < MOST_LINES
    assert customerio.names == ["E9"]
