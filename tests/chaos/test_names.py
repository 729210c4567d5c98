"""Names that do not resolve: no answer of the name server, errors, and the way back."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.chaos.beside import LOOPBACK, event, healthy_beside, stream_to
from tests.chaos.name_server import name_server
from tests.delivery.caller import Caller
from tests.fake_customerio import WITHIN_S, FakeCustomerio, fake_customerio
from tests.processes import server
from tests.processor import waited_s
from tests.security.watching import wait_until

pytestmark = pytest.mark.serial

TIMEOUT_S = 2.0
EVENTS = 20
LAST = 10_000
GRACE_S = 2
LATE_S = 3.0
"""How late it may be, without the time in which the machine had no processor for it."""


def urls(customerio: FakeCustomerio, other: FakeCustomerio) -> tuple[str, ...]:
    """Return the flags that name both regions."""
    ports = [fake.host.rpartition(":")[2] for fake in (customerio, other)]
    us, eu = (
        f"http://{name}.chaos.test:{port}" for name, port in zip(("us", "eu"), ports, strict=True)
    )
    return ("--customerio-url", us, "--customerio-eu-url", eu)


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_a_name_server_is_silent_then_fails_then_recovers(
    tmp_path: Path, http2: bool
) -> None:
    """Deadlines hold, the other region's name resolves meanwhile, the failure names the cause, and all arrives once."""
    async with (
        name_server(tmp_path) as names,
        fake_customerio() as customerio,
        fake_customerio() as other,
    ):
        arguments = (*LOOPBACK, *urls(customerio, other), *(("--http2",) if http2 else ()))
        names.silent = {b"us"}
        with server(*arguments, before=names.before) as running:
            (address,) = running.addresses
            async with stream_to(address) as caller:
                pid = running.process.pid
                began_at = time.monotonic() - waited_s(pid)
                for number in range(1, EVENTS + 1):
                    await caller.send(
                        number, event(f"E{number}", f"u{number}"), timeout_s=TIMEOUT_S
                    )
                await asyncio.to_thread(wait_until, lambda: b"us" in names.asked)
                async with healthy_beside(address):
                    told = [await caller.told(number) for number in range(1, EVENTS + 1)]
                    took_s = time.monotonic() - waited_s(pid) - began_at
                    assert took_s < TIMEOUT_S + LATE_S
                    # One look-up at a time, of both kinds of addresses: no other name waits behind it.
                    assert names.asked.count(b"us") <= 2
                    assert {one.status for one in told} <= {503, 504}
                    assert all(one.detail.error.retryable for one in told)
                    names.silent, names.failing = set(), {b"us"}
                    names.answer_late()
                    await until_the_name_is_the_cause(caller)
                    names.failing = set()
                    await caller.send(LAST, event("last", "another"), timeout_s=WITHIN_S)
                    assert (await caller.told(LAST)).status == 200
        assert customerio.names == ["last"]


async def until_the_name_is_the_cause(caller: Caller) -> None:
    """Send events until one fails because the name does not resolve."""
    async with asyncio.timeout(WITHIN_S):
        for number in range(100, LAST):
            await caller.send(number, event(f"E{number}", f"u{number}"), timeout_s=TIMEOUT_S)
            failed = await caller.told(number)
            assert failed.detail.error.retryable
            if "its name does not resolve" in failed.delivery.reason:
                return
            await asyncio.sleep(failed.retry_after_s or 0.1)
    raise AssertionError("no event named the cause")


@pytest.mark.parametrize(
    "store", [(), ("--rate-store", "redis://us.chaos.test:1")], ids=["alone", "rate store"]
)
async def test_a_server_ends_while_a_name_is_looked_up(
    tmp_path: Path, store: tuple[str, ...]
) -> None:
    """SIGTERM does not wait for a silent name server longer than for a silent Customer.io."""
    async with (
        name_server(tmp_path) as names,
        fake_customerio() as customerio,
        fake_customerio() as other,
    ):
        names.silent = {b"us"}
        arguments = (*LOOPBACK, *urls(customerio, other), "--grace-s", str(GRACE_S), *store)
        with server(*arguments, before=names.before) as running:
            (address,) = running.addresses
            async with stream_to(address) as caller:
                await caller.send(1, event("E1"))
                await asyncio.to_thread(wait_until, lambda: b"us" in names.asked)
                pid = running.process.pid
                began_at = time.monotonic() - waited_s(pid)
                running.signal(signal.SIGTERM)
                told = await caller.told(1)
                assert told.detail.error.retryable
                # It has its times until its end is waited for.
                await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                took_s = time.monotonic() - waited_s(pid) - began_at
                code, _ = await asyncio.to_thread(running.end)
            assert code == 0
            assert took_s < GRACE_S + LATE_S
