"""What all workers together may do: requests to a workspace, and connections."""

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import AsyncClient, DeliveryOptions

from tests.fake_customerio import Received, fake_customerio
from tests.processes import run
from tests.workers.group import group, pids

pytestmark = pytest.mark.serial
CONFIG = {"siteID": "site", "apiKey": "key"}
RATE = 40.0
SECONDS = 3.0


async def _fill(address: str, number: int, answered: list[Any]) -> None:
    """A caller of one worker that has always events to deliver."""
    async with (
        AsyncClient(address) as client,
        client.stream(CONFIG, deliver=DeliveryOptions(timeout_s=60)) as stream,
    ):
        events = (
            {"type": "track", "userId": f"u{number}-{count}", "event": "Step"}
            for count in range(round(RATE * SECONDS))
        )
        answered.extend([answer async for answer in stream.map(events)])


class Stalls:
    """The longest time that this process did not get to run its event loop."""

    longest_s = 0.0

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            self.longest_s = max(self.longest_s, time.monotonic() - began - 0.01)


async def test_the_rate_holds_for_all_workers_together() -> None:
    """Two busy workers send to one workspace what one would send, and not twice as much."""
    stalls = Stalls()
    watching = asyncio.create_task(stalls.watch())
    async with fake_customerio() as customerio:
        arrivals: list[float] = []
        rule = customerio.rule

        def note(request: Received) -> Any:
            arrivals.append(time.monotonic())
            return rule(request)

        customerio.rule = note
        rate = ("--delivery-rate", str(RATE), "--customerio-url", customerio.url)
        with group(2, *rate) as running:
            answered: list[Any] = []
            await asyncio.gather(
                *(_fill(one, number, answered) for number, one in enumerate(running.addresses))
            )
    watching.cancel()
    assert len(answered) == len(arrivals) == 2 * round(RATE * SECONDS)
    assert {result.status for _, result in answered} == {200}
    # A tenth of a second may go at once, and each worker may begin with it. What came while this process could not look
    # seems to come at once too.
    at_once = RATE * (0.1 + stalls.longest_s) + 2
    took_s = arrivals[-1] - arrivals[0]
    assert len(arrivals) <= RATE * took_s + at_once
    windows = [sum(start <= at < start + 1.0 for at in arrivals) for start in arrivals]
    assert max(windows) <= RATE + at_once


def test_connections_and_requests_at_once_are_shared_too() -> None:
    """The workers' flags say it, so that `ps` shows it; the log of the parent says it too."""
    limits = ("--max-connections", "101", "--delivery-concurrency", "5", "--delivery-rate", "90")
    with group(3, *limits) as running:
        for pid in pids(running):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            assert "--max-connections=33" in words
            assert "--delivery-concurrency=1" in words
            assert "--delivery-rate=30.0" in words
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    lines = map(json.loads, errors.splitlines())
    (ready,) = (line for line in lines if line["message"] == "all workers are ready")
    assert (ready["workers"], ready["delivery_rate"], ready["delivery_rate_of_each"]) == (3, 90, 30)
    assert ready["max_connections_of_each"] == 33


def test_settings_from_the_environment_reach_the_workers_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flag wins over the environment in the parent, and the workers do not read the variable again."""
    monkeypatch.setenv("CIOSIDECAR_WORKERS", "2")
    monkeypatch.setenv("CIOSIDECAR_DELIVERY_RATE", "80")
    monkeypatch.setenv("CIOSIDECAR_GRACE", "3")
    with group(2, "--delivery-rate", "900") as running:
        for pid in pids(running):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            assert "--delivery-rate=450.0" in words
            assert "--grace-s=3.0" in words
            environment = Path(f"/proc/{pid}/environ").read_text()
            assert "CIOSIDECAR_DELIVERY_RATE" not in environment
            assert "CIOSIDECAR_GRACE" not in environment


def test_more_workers_than_connections() -> None:
    """Each has one: it could not send otherwise. The parent starts."""
    with group(2, "--max-connections", "1", "--delivery-concurrency", "1") as running:
        words = Path(f"/proc/{pids(running)[0]}/cmdline").read_text().split("\0")
        assert "--max-connections=1" in words


def test_the_help_names_the_addresses_of_workers() -> None:
    """An operator finds PATH-1 and the next ports in --help."""
    words = " ".join(run("serve", "--help").stdout.decode().split())
    assert "PATH-1" in words
    assert "--workers" in words
