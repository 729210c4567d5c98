"""No descriptor is left: connections in use go on, everything else is told to come again, and it recovers."""

import asyncio
import itertools
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from tests.delivery.caller import Caller
from tests.fake_customerio import WITHIN_S, fake_customerio
from tests.processes import server
from tests.security.pem import NAMES, Files, serial_of
from tests.security.test_tls import serial_at
from tests.security.watching import log_of, wait_for_log, wait_until

pytestmark = pytest.mark.serial

EXHAUSTED_S = 2.0
MOST_LINES = 20
LAST = 10_000
NONE_LEFT = "no file descriptor is left"


@contextmanager
def no_descriptor_left(pid: int, files: Files) -> Iterator[None]:
    """Take away the descriptors that a process does not use yet, while the block lasts.

    files: which the process reads now and then. Their descriptors are free again soon.
    """
    _, most = former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    read = {str(files.cert), str(files.key)}
    used = {number for number, file in descriptors(pid) if file not in read}
    lowest_free = next(number for number in itertools.count() if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, most))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, former)


def descriptors(pid: int) -> Iterator[tuple[int, str]]:
    """Yield the descriptors of a process, each with what it is of."""
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield int(path.name), str(path.readlink())


async def until_told_why(caller: Caller) -> None:
    """Send events until one fails because of the descriptors: a busy machine may not come so far in their time."""
    async with asyncio.timeout(WITHIN_S):
        for first in itertools.count(1, 5):
            numbers = range(first, first + 5)
            for number in numbers:
                await caller.send(number, event(f"E{number}", f"u{number}"), timeout_s=1)
            told = [await caller.told(number) for number in numbers]
            assert all(one.detail.error.retryable for one in told), [one.code for one in told]
            if any("Too many open files" in one.delivery.reason for one in told):
                return


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
                with no_descriptor_left(pid, files):
                    began_at, began_s = time.monotonic(), cpu_s(pid)
                    files.write(renewed)
                    new_caller = asyncio.ensure_future(
                        code_of_a_call(address, partial(capabilities, timeout_s=2), credentials)
                    )
                    await until_told_why(caller)
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
                await caller.send(LAST, event("last", "another"))
                assert (await caller.told(LAST)).status == 200
            log = log_of(running)
    assert log.count(NONE_LEFT) == 1
    assert log.count("workspace down") <= 1
    assert len(log.splitlines()) < MOST_LINES
    assert customerio.names == ["last"]
