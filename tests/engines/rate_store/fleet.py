"""Several real sidecars that share one rate, a Customer.io that counts, and as many events as they take."""

import asyncio
import bisect
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

from ciosidecar import v1
from grpc import aio

from tests.processes import Server, server

CONFIG = b'{"siteID": "site", "apiKey": "a-secret-key"}'
_OUTSTANDING = 40
_BATCH = 10
Times = dict[str, list[float]]


class Counting:
    """The Customer.io that counts, in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return json.load(answer)

    def arrivals(self) -> Times:
        """Return when requests came, by sidecar, in order."""
        return dict(self._get("/arrivals"))

    def forget(self) -> None:
        """Forget all arrivals."""
        self._get("/forget")

    def throttle(self, sidecar: int, number: int) -> None:
        """Have the next requests of a sidecar answered 429."""
        self._get(f"/throttle/{sidecar}/{number}")


@contextmanager
def counting_customerio() -> Iterator[Counting]:
    """Run a Customer.io that counts while the block lasts."""
    command = [sys.executable, "-m", "tests.engines.rate_store.counting_customerio"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            (address,) = json.loads(process.stdout.readline())["listen"]
            yield Counting(f"http://{address}")
        finally:
            process.kill()


@contextmanager
def fleet(size: int, customerio: Counting, *flags: str) -> Iterator[list[Server]]:
    """Run sidecars while the block lasts. They start side by side."""
    common = ("--listen", "127.0.0.1:0", "--customerio-url", customerio.url, *flags)
    contexts = [server(*common) for _ in range(size)]
    with ExitStack() as stack, ThreadPoolExecutor(size) as pool:
        starts = [pool.submit(context.__enter__) for context in contexts]
        wait(starts)
        for context, start in zip(contexts, starts, strict=True):
            if start.exception() is None:
                stack.push(context)
        yield [start.result() for start in starts]


class Feed:
    """Events for one sidecar: as many as it takes, or so many a second."""

    def __init__(self, call: Any, sidecar: int) -> None:
        self._call = call
        self._sidecar = sidecar
        self._free = asyncio.Semaphore(_OUTSTANDING)
        self._number = 0
        self._sent_at: dict[int, float] = {}
        self.statuses: list[int] = []
        self.took_s: list[float] = []
        """The time until each batch was answered."""

    async def send(self, per_s: float | None) -> None:
        """Send events until cancelled. per_s: how many a second; None for as many as it takes."""
        began = time.monotonic()
        size = _BATCH if per_s is None else 1
        while True:
            if per_s is not None:
                await asyncio.sleep(max(0.0, began + self._number / per_s - time.monotonic()))
            await self._free.acquire()
            message = v1.TransformStreamRequest()
            message.batch.batch_id = self._number // size + 1
            message.batch.destination = 1
            for _ in range(size):
                event = {
                    "type": "track",
                    "userId": f"{self._sidecar}-{self._number}",
                    "event": "Order",
                }
                message.batch.items.add(json=json.dumps(event).encode())
                self._number += 1
            self._sent_at[message.batch.batch_id] = time.monotonic()
            await self._call.write(message)

    async def read(self) -> None:
        """Read results until cancelled."""
        while (response := await self._call.read()) is not aio.EOF:
            self.statuses.extend(response.results.statuses)
            if response.results.batch_complete:
                self._free.release()
                sent_at = self._sent_at.pop(response.results.batch_id)
                self.took_s.append(time.monotonic() - sent_at)


@asynccontextmanager
async def feeding(
    servers: Sequence[Server], per_s: Sequence[float | None] = ()
) -> AsyncIterator[list[Feed]]:
    """Feed each sidecar while the block lasts. per_s: for each sidecar, as in `Feed.send`."""
    async with AsyncExitStack() as stack:
        feeds, tasks = [], []
        for number, one in enumerate(servers):
            channel = await stack.enter_async_context(aio.insecure_channel(one.addresses[0]))
            call: Any = v1.SidecarServiceStub(channel).TransformStream()
            opening = v1.TransformStreamRequest()
            opening.open.destinations.add(reference_id=1, config_json=CONFIG)
            opening.open.delivery.SetInParent()
            await call.write(opening)
            await call.read()
            feed = Feed(call, number)
            feeds.append(feed)
            wanted = per_s[number] if per_s else None
            tasks += [asyncio.ensure_future(feed.send(wanted)), asyncio.ensure_future(feed.read())]
        try:
            yield feeds
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError, aio.AioRpcError):
                    await task


def between(times: Times, begin: float, end: float) -> dict[str, int]:
    """Return how many requests each sidecar sent in a time."""
    return {
        name: bisect.bisect_left(own, end) - bisect.bisect_left(own, begin)
        for name, own in times.items()
    }


def worst_excess(times: Times, rate_per_s: float, begin: float, end: float) -> float:
    """Return the most requests that any window within a time had beyond the rate.

    The windows that matter begin and end with a request: rate x (window) is taken from each count.
    """
    own = sorted(moment for all_of_one in times.values() for moment in all_of_one)
    own = own[bisect.bisect_left(own, begin) : bisect.bisect_left(own, end)]
    least, worst = 0.0, 0.0
    for position, moment in enumerate(own):
        excess = position - rate_per_s * (moment - begin)
        least = min(least, excess) if position else excess
        worst = max(worst, excess + 1 - least)
    return worst
