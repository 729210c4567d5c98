"""A hundred destinations on one stream: without bad ones, with three, and with ten of each kind."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from ciosidecar import v1
from grpc import aio

from tests.fake_customerio import nobody

from .delivery import quantiles_ms
from .load import OPTIONS
from .server_process import LOAD_CORE, ServerProcess
from .tables import Table

GOOD = 97
BAD = ("down", "refused", "slow")
HUNDRED = 100
TROUBLES = (
    "throttled",
    "throttledfor",
    "failing",
    "refused",
    "hanging",
    "slow",
    "unreadable",
    "down",
)
OF_EACH = 10
_EVENT = (
    b'{"type":"track","userId":"user-%d","messageId":"message-%d","event":"Order Completed",'
    b'"properties":{"n":%d}}'
)


def configs(bad: Sequence[str], *, good: int, each: int = 1) -> list[dict[str, str]]:
    """Return the destinations, the good ones first. A destination is down if its region is down."""
    found = [{"siteID": f"good-{n}", "apiKey": "key"} for n in range(good)]
    for name in bad:
        for n in range(each):
            found.append({"siteID": f"{name}-{n}", "apiKey": "key"})
            if name == "down":
                found[-1]["datacenter"] = "EU"
    return found


async def run(
    destinations: list[dict[str, str]], *, good: int, per_destination_s: float, seconds: float
) -> dict[str, Any]:
    """Measure the first `good` destinations, with a rate of events for each destination."""
    with (
        ServerProcess("-m", "tests.bench.null_customerio", "--uneven") as customerio,
        nobody() as closed,
    ):
        os.sched_setaffinity(customerio.pid, {LOAD_CORE})
        with ServerProcess(
            *("-m", "ciosidecar_server", "serve", "--listen", "127.0.0.1:0", "--log-level=error"),
            *("--admin-listen", "127.0.0.1:0"),
            *(
                "--customerio-url",
                f"http://{customerio.address}",
                "--customerio-eu-url",
                f"http://{closed}",
            ),
        ) as server:
            return await _drive(server, destinations, good, per_destination_s, seconds)


async def _drive(
    server: ServerProcess,
    destinations: list[dict[str, str]],
    good: int,
    per_destination_s: float,
    seconds: float,
) -> dict[str, Any]:
    rounds = int(seconds * per_destination_s)
    sent_at: dict[int, float] = {}
    took: list[float] = []
    delivered = 0
    last = 0.0
    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        call: Any = v1.SidecarServiceStub(channel).TransformStream()
        opening = v1.TransformStreamRequest()
        opening.open.delivery.default_timeout.seconds = 5
        for number, config in enumerate(destinations, 1):
            opening.open.destinations.add(
                reference_id=number, config_json=json.dumps(config).encode()
            )
        await call.write(opening)
        await call.read()

        async def send() -> None:
            start = time.perf_counter()
            for n in range(rounds):
                message = v1.TransformStreamRequest()
                message.batch.batch_id = n
                for number in range(1, len(destinations) + 1):
                    event = _EVENT % (n, n, n)
                    message.batch.items.add(json=event, destination=number)
                due = start + n / per_destination_s
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent_at[n] = time.perf_counter()
                await call.write(message)
            await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
            await call.done_writing()

        start = time.perf_counter()
        sending = asyncio.ensure_future(send())
        while (response := await call.read()) is not aio.EOF:
            results = response.results
            now = time.perf_counter()
            positions = results.positions or range(
                results.first_position, results.first_position + len(results.statuses)
            )
            for position, status in zip(positions, results.statuses, strict=True):
                if position < good:
                    took.append(now - sent_at[results.batch_id])
                    delivered += status == 200
                    last = now
        await sending
    if delivered != good * rounds:
        raise RuntimeError(f"{delivered} of {good * rounds} events for good destinations arrived")
    return {"events_per_s": delivered / (last - start), **quantiles_ms(took)}


async def measure() -> dict[str, Any]:
    """Measure the good destinations under the same load, alone and beside the bad ones."""
    return await _compare(
        {"without": configs((), good=GOOD), "with": configs(BAD, good=GOOD)}, good=GOOD, seconds=8
    )


async def measure_troubles() -> dict[str, Any]:
    """Measure twenty good destinations beside eighty more good ones, and beside ten of each bad kind."""
    good = HUNDRED - len(TROUBLES) * OF_EACH
    return await _compare(
        {
            "all_good": configs((), good=HUNDRED),
            "in_trouble": configs(TROUBLES, good=good, each=OF_EACH),
        },
        good=good,
        seconds=20,
    )


async def _compare(
    cases: dict[str, list[dict[str, str]]], *, good: int, seconds: float, repeats: int = 3
) -> dict[str, Any]:
    """Return the medians of several runs, interleaved so that a noisy minute affects all cases."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, destinations in cases.items():
            found = await run(destinations, good=good, per_destination_s=5, seconds=seconds)
            runs[name].append(found)
    return {
        name: {key: sorted(one[key] for one in found)[len(found) // 2] for key in found[0]}
        for name, found in runs.items()
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of what `measure` returned."""
    cases = {"without": "alone", "with": "beside one down, one refused, one slow"}
    return [_table("97 good destinations", found, cases)]


def troubles_tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of what `measure_troubles` returned, with the share of the rate and the factor of the wait."""
    before, beside = found["all_good"], found["in_trouble"]
    note = (
        f"Beside the eighty in trouble: {beside['events_per_s'] / before['events_per_s']:.1%} of the rate, and"
        f" {beside['p99'] / before['p99']:.2f} times the 99th percentile."
    )
    cases = {"all_good": "all good", "in_trouble": "ten in each kind of trouble"}
    return [_table("20 good destinations of a hundred", found, cases, (note,))]


def _table(
    title: str, found: dict[str, Any], cases: dict[str, str], notes: Sequence[str] = ()
) -> Table:
    rows = []
    for name, label in cases.items():
        one = found[name]
        rows.append([label, f"{one['events_per_s']:.1f}", f"{one['p50']:.1f}", f"{one['p99']:.1f}"])
    header = ["", "events a second", "median, ms", "99th percentile, ms"]
    return Table(title, header, rows, notes)
