"""The wall clock is set while events are delivered: an hour on, an hour back, a day on."""

import datetime as dt
import itertools
import json
import time
from email.utils import format_datetime
from pathlib import Path

import grpc
import pytest
import trustme

from tests.chaos.beside import FAULTY, HEALTHY, LOOPBACK, event, healthy_beside, stream_to
from tests.chaos.faked_time import WallClock
from tests.chaos.held import send_held
from tests.fake_customerio import HOLD, OK, WITHIN_S, Received, Reply, fake_customerio
from tests.processes import server
from tests.processor import waited_s
from tests.security.pem import NAMES, Files
from tests.security.watching import log_of, wait_for_log

pytestmark = pytest.mark.serial

HOUR, DAY = 3_600, 86_400
STEPS = (HOUR, -HOUR, DAY, 0)
"""In seconds from the system's time, so that the clock also goes back by up to a day."""
ASKED_S = 3
LATE_S = 3.0


async def test_the_clock_is_set_during_delivery(tmp_path: Path) -> None:
    """Time limits, order and event ids go by no wall clock, and a repeat counts once; a caller beside notices nothing."""
    clock = WallClock(tmp_path)
    now = dt.datetime.now(dt.UTC).isoformat()
    repeated = [
        event("no time", "repeated"),
        event("a time", "repeated", originalTimestamp=now),
    ]
    async with fake_customerio() as customerio, fake_customerio() as other:
        urls = ("--customerio-url", customerio.url, "--customerio-eu-url", other.url)
        with server(*LOOPBACK, *urls, env=clock.environment) as running:
            (address,) = running.addresses
            async with healthy_beside(address), stream_to(address) as caller:
                customerio.rule = lambda request: HOLD if request.name.startswith("E") else OK
                held_numbers = itertools.count(1_000)
                for number, seconds in enumerate(STEPS, 1):
                    held = await send_held(caller, customerio, held_numbers)
                    clock.step(seconds)
                    waited_before_s = waited_s(running.process.pid)
                    told = await caller.told(*held.numbers)
                    assert (told.status, told.detail.error.retryable) == (504, True)
                    took_s = time.monotonic() - held.began_at
                    assert took_s > held.timeout_s - 0.1
                    took_s -= waited_s(running.process.pid) - waited_before_s
                    assert took_s < held.timeout_s + LATE_S
                    await caller.send(100 + number, event(f"after {number}", "ordered"))
                    assert (await caller.told(100 + number)).status == 200
                    await caller.send(200 + number, *repeated)
                    assert [told.status for told in await caller.told_all(200 + number)] == [
                        200
                    ] * 2
                assert [name for name in customerio.names if name.startswith("after")] == [
                    f"after {number}" for number, _ in enumerate(STEPS, 1)
                ]
            assert '"level": "error"' not in log_of(running)
    for one in repeated:
        ids = [event_id(request) for request in customerio.requests if request.name == one["event"]]
        assert len(ids) == len(STEPS)
        assert ids[0]
        assert len(set(ids)) == 1


async def test_a_date_in_retry_after_is_read_by_customerios_clock(tmp_path: Path) -> None:
    """The workspace pauses as long as was asked for, although this machine's clock is wrong."""
    clock = WallClock(tmp_path)
    async with fake_customerio() as customerio:
        arguments = (*LOOPBACK, "--customerio-url", customerio.url)
        with server(*arguments, env=clock.environment) as running:
            (address,) = running.addresses
            async with healthy_beside(address), stream_to(address) as caller:
                for number, seconds in enumerate((HOUR, -HOUR), 1):
                    clock.step(seconds)
                    asked_at: list[float] = []
                    waited_before_s: list[float] = []

                    def answer(
                        request: Received,
                        asked_at: list[float] = asked_at,
                        waited_before_s: list[float] = waited_before_s,
                    ) -> Reply:
                        if request.name != "throttled" or asked_at:
                            return OK
                        asked_at.append(time.monotonic())
                        waited_before_s.append(waited_s(running.process.pid))
                        return Reply(429, headers=asking_to_wait(ASKED_S))

                    customerio.rule = answer
                    await caller.send(number, event("throttled"), timeout_s=WITHIN_S)
                    assert (await caller.told(number)).status == 200
                    paused_s = time.monotonic() - asked_at[0]
                    # A date has whole seconds.
                    assert paused_s > ASKED_S - 1.1
                    paused_s -= waited_s(running.process.pid) - waited_before_s[0]
                    assert paused_s < ASKED_S + LATE_S


def asking_to_wait(seconds: int) -> dict[str, str]:
    """Return the headers of a response that asks to wait until a date."""
    now = dt.datetime.now(dt.UTC)
    then = now + dt.timedelta(seconds=seconds)
    return {
        "Date": format_datetime(now, usegmt=True),
        "Retry-After": format_datetime(then, usegmt=True),
    }


def event_id(request: Received) -> str:
    """Return the id by which Customer.io knows an event."""
    return str(json.loads(request.body).get("id", ""))


async def test_the_certificate_is_judged_by_the_clock_as_it_is(tmp_path: Path) -> None:
    """A clock a day on calls it expired, once; no connection is harmed, and a renewed file is read in any case."""
    authority = trustme.CA()
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    now = dt.datetime.now(dt.UTC)
    half_a_day = dt.timedelta(hours=12)
    short = authority.issue_cert(*NAMES, not_before=now - half_a_day, not_after=now + half_a_day)
    files = Files(tmp_path).write(short)
    clock = WallClock(tmp_path)
    async with fake_customerio() as customerio:
        arguments = (*LOOPBACK, *files.flags, "--customerio-url", customerio.url)
        with server(*arguments, env=clock.environment) as running:
            (address,) = running.addresses
            async with healthy_beside(address, HEALTHY, credentials):
                clock.step(DAY)
                await wait_for_log(running, "expired on")
                clock.step(-DAY)
                await wait_for_log(running, "is not valid before")
                files.write(authority.issue_cert(*NAMES))
                await wait_for_log(running, "the TLS files were read again")
                async with stream_to(address, FAULTY, credentials):
                    pass
            assert log_of(running).count("expired on") == 1
            assert log_of(running).count("is not valid before") == 1
