"""Delivery to a null server, compared with the client library alone."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ciosidecar import v1
from grpc import aio

from .implementations import SERVE
from .load import OPTIONS, Figures
from .server_process import LOAD_CORE, SERVER_CORE, ServerProcess
from .tables import Table, counted

CONCURRENCY = 64
_CONFIG = b'{"siteID": "site", "apiKey": "key", "apiVersion": "%b"}'
_EVENT = (
    b'{"type":"track","userId":"user-%d","messageId":"message-%d","event":"Order Completed",'
    b'"properties":{%b"n":%d},"originalTimestamp":"2026-03-04T05:06:07.890Z"}'
)
_PROPERTIES = b'"product":"a teapot of some size","price":19.99,"currency":"EUR",' * 4


def orders(count: int) -> list[bytes]:
    """Return track events of different people; their requests are a little larger than the raw client's."""
    return [_EVENT % (n, n, _PROPERTIES, n) for n in range(count)]


class NullCustomerio(ServerProcess):
    """The null server, on the core of the load so that it does not use the sidecar's."""

    def __init__(self) -> None:
        super().__init__("-m", "tests.bench.null_customerio")
        os.sched_setaffinity(self.pid, {LOAD_CORE})

    @property
    def url(self) -> str:
        """Return the server's base URL."""
        return f"http://{self.address}"


def sidecar(
    null: NullCustomerio,
    *flags: str,
    python: str | Path = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> ServerProcess:
    """Start a sidecar that delivers to the null server."""
    command = (*SERVE, "--customerio-url", null.url, *flags)
    return ServerProcess(*command, python=python, environment=environment)


async def deliver(
    server: ServerProcess,
    events: Sequence[bytes],
    api_version: bytes,
    *,
    size: int = 100,
    rate_per_s: float | None = None,
) -> tuple[Figures, list[float]]:
    """Deliver all events over one stream, and return the seconds of each batch.

    rate_per_s: of events; as fast as flow control allows if not given.
    """
    sent_at: dict[int, float] = {}
    took: dict[int, float] = {}
    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        call: Any = v1.SidecarServiceStub(channel).TransformStream()
        opening = v1.TransformStreamRequest()
        opening.open.destinations.add(reference_id=1, config_json=_CONFIG % api_version)
        opening.open.delivery.SetInParent()
        await call.write(opening)
        await call.read()

        async def send() -> None:
            start = time.perf_counter()
            for first in range(0, len(events), size):
                message = v1.TransformStreamRequest()
                message.batch.batch_id = first
                message.batch.destination = 1
                for event in events[first : first + size]:
                    message.batch.items.add(json=event)
                if rate_per_s is not None:
                    due = start + first / rate_per_s
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent_at[first] = time.perf_counter()
                await call.write(message)
            await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
            # Otherwise the server waits for 0.2 s whether anything follows.
            await call.done_writing()

        cpu, start = server.cpu_s(), time.perf_counter()
        sending = asyncio.ensure_future(send())
        delivered = 0
        while (response := await call.read()) is not aio.EOF:
            results = response.results
            delivered += sum(status == 200 for status in results.statuses)
            if results.batch_complete:
                took[results.batch_id] = time.perf_counter() - sent_at[results.batch_id]
        await sending
        wall, used = time.perf_counter() - start, server.cpu_s() - cpu
    if delivered != len(events):
        raise RuntimeError(f"{delivered} of {len(events)} events were delivered")
    return Figures(len(events), wall, used), [took[first] for first in sorted(took)]


def raw(null: NullCustomerio, requests: int) -> tuple[float, float]:
    """Measure the client library alone: CPU in µs a request, and requests a second."""
    found = subprocess.run(
        [
            *("taskset", "--cpu-list", str(SERVER_CORE)),
            *(sys.executable, "-m", "tests.bench.raw_client"),
            *(f"{null.url}/api/v1/customers/u/events", str(requests), str(CONCURRENCY)),
        ],
        check=True,
        capture_output=True,
        timeout=120,
        process_group=0,  # Ctrl-C at the terminal reaches the bench alone
    )
    figures = json.loads(found.stdout)
    return figures["cpu_s"] / requests * 1e6, requests / figures["wall_s"]


async def measure(repeats: int = 3, requests: int = 4_000) -> dict[str, Any]:
    """Measure delivery: CPU in µs, latencies in ms."""
    events = orders(requests)
    many = orders(100_000)
    found: dict[str, Any] = {}
    unbounded = ("--delivery-rate", "1000000", "--delivery-concurrency", str(CONCURRENCY))
    with NullCustomerio() as null:
        raws, figures = [], []
        with sidecar(null, *unbounded) as server:
            await deliver(server, events[:1_000], b"v1")
            for _ in range(repeats):
                # Interleaved, so that a noisy minute falls on both.
                raws.append(await asyncio.to_thread(raw, null, requests))
                figures.append((await deliver(server, events, b"v1"))[0])
        ratios = [
            one.server_cpu_us_per_event / cpu_us
            for one, (cpu_us, _) in zip(figures, raws, strict=True)
        ]
        found["v1"] = {
            "raw_cpu_us": statistics.median(cpu_us for cpu_us, _ in raws),
            "raw_requests_per_s": statistics.median(rate for _, rate in raws),
            "delivery_cpu_us": statistics.median(one.server_cpu_us_per_event for one in figures),
            "delivery_requests_per_s": statistics.median(one.events_per_s for one in figures),
            "ratio": statistics.median(ratios),
        }
        with sidecar(null) as server:
            sustained, took = await deliver(
                server, orders(900 * 20), b"v1", size=10, rate_per_s=895
            )
            quarter = len(took) // 4
            found["sustained"] = {
                "requests_per_s": sustained.events_per_s,
                "server_load": sustained.server_cpu_s / sustained.wall_s,
                "first_quarter_ms": quantiles_ms(took[:quarter]),
                "last_quarter_ms": quantiles_ms(took[-quarter:]),
            }
        with sidecar(null) as server:
            await deliver(server, many[:20_000], b"v2", size=500)
            runs = [(await deliver(server, many, b"v2", size=500))[0] for _ in range(repeats)]
            found["v2"] = {
                "events_per_s": statistics.median(one.events_per_s for one in runs),
                "delivery_cpu_us": statistics.median(one.server_cpu_us_per_event for one in runs),
            }
    return found


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in ms."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3}


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of what `measure` returned."""
    v1_figures, v2_figures, sustained = found["v1"], found["v2"], found["sustained"]
    rows = [
        [
            "the library alone, one request",
            f"{v1_figures['raw_cpu_us']:.0f}",
            counted(v1_figures["raw_requests_per_s"]),
        ],
        [
            "Track API v1, one event: gRPC, transform, ordering, one request, result",
            f"{v1_figures['delivery_cpu_us']:.0f}",
            counted(v1_figures["delivery_requests_per_s"]),
        ],
        [
            "Track API v2, one event",
            f"{v2_figures['delivery_cpu_us']:.1f}",
            counted(v2_figures["events_per_s"]),
        ],
    ]
    first, last = sustained["first_quarter_ms"], sustained["last_quarter_ms"]
    sustained_words = (
        f"{sustained['requests_per_s']:.0f} requests a second for 20 s, just below the default rate, take"
        f" {sustained['server_load']:.0%} of a core. A batch of ten takes {first['p50']:.1f} ms (99 % within"
        f" {first['p99']:.1f} ms) in the first quarter, and {last['p50']:.1f} ms ({last['p99']:.1f} ms) in the"
        " last."
    )
    notes = [
        f"v1 takes {v1_figures['ratio']:.2f} times the CPU of the library alone (median of pairs).",
        sustained_words,
    ]
    return [
        Table("delivery to a server that answers at once", ["", "CPU, µs", "a second"], rows, notes)
    ]
