"""Eight streams over two workers, compared with one server: how they spread, and server CPU for each event."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ciosidecar import AsyncClient, AsyncStream, StreamOptions

from .events import CONFIG, events
from .server_process import started
from .tables import Table

STREAMS = 8
EVENTS_OF_A_STREAM = 2_000
RUNS = 15
_WARM_UP_CALLS = 25
_OPTIONS = StreamOptions(max_batch_events=100, max_outstanding_events=400, linger_s=0.05)
_SERVE = ("-m", "ciosidecar_server", "serve", "--listen", "127.0.0.1:0", "--log-level", "error")


class Group:
    """A sidecar with any number of workers, which the system places on all cores as it likes."""

    def __init__(self, workers: int) -> None:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # inherited by all that start here
        command = [sys.executable, *_SERVE, "--admin-listen", "127.0.0.1:0"]
        self._process = started(
            [*command, "--workers", str(workers)],
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C at the terminal reaches the bench alone
        )
        try:
            assert self._process.stdout is not None
            ready = json.loads(self._process.stdout.readline())
        except BaseException:
            self._end()
            raise
        os.sched_setaffinity(0, mine)
        self.addresses: list[str] = ready["listen"]
        self._admin: str = ready["admin"]
        own = [worker["pid"] for worker in ready.get("workers", ())]
        self._pids = [self._process.pid, *own]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)

    def _tasks(self) -> list[Path]:
        return [task for pid in self._pids for task in Path(f"/proc/{pid}/task").iterdir()]

    def cpu_s(self) -> float:
        """Return the CPU time of all threads of all processes so far, the parent's included."""
        found = [(task / "schedstat").read_text() for task in self._tasks()]
        return sum(int(one.split()[0]) for one in found) / 1e9

    def streams(self) -> list[dict[str, Any]]:
        """Return what the admin port says of the open streams."""
        with urllib.request.urlopen(f"http://{self._admin}/api/state", timeout=10) as response:
            streams: list[dict[str, Any]] = json.load(response)["streams"]
        return streams


async def run(group: Group, sample: Sequence[bytes]) -> dict[str, Any]:
    """Send the sample over each of eight streams of one client."""
    async with AsyncClient(group.addresses) as client, AsyncExitStack() as stack:
        # gRPC uses the connection that is ready first until the others are ready too.
        for _ in range(_WARM_UP_CALLS):
            await client.capabilities()
            await asyncio.sleep(0.02)
        streams = []
        for _ in range(STREAMS):
            stream = await stack.enter_async_context(client.stream(CONFIG, _OPTIONS))
            await _answered(stream, sample[:100])
            streams.append(stream)
        before = group.cpu_s()
        await asyncio.gather(*(_answered(stream, sample) for stream in streams))
        used = group.cpu_s() - before
        await asyncio.sleep(0.6)  # the state is put together twice a second at most
        found = await asyncio.to_thread(group.streams)
    by_worker: Counter[str] = Counter()
    for one in found:
        by_worker[str(one.get("worker", 1))] += one["items"]
    return {
        "cpu_us": used / (len(sample) * STREAMS) * 1e6,
        "events_by_worker": dict(sorted(by_worker.items())),
        "events_a_batch": sum(one["items"] for one in found) / sum(one["batches"] for one in found),
    }


async def _answered(stream: AsyncStream, sample: Sequence[bytes]) -> None:
    sending = asyncio.create_task(_send(stream, sample))
    left = len(sample)
    async for answer in stream:
        assert answer.result.status == 200
        left -= 1
        if not left:
            break
    await sending


async def _send(stream: AsyncStream, sample: Sequence[bytes]) -> None:
    for event in sample:
        await stream.send(event)


async def measure(runs: int = RUNS) -> dict[str, Any]:
    """Measure one and two workers in turns, so that a noisy minute falls on both."""
    mix = [event for _, event in events(EVENTS_OF_A_STREAM)]
    found: dict[str, list[dict[str, Any]]] = {"1": [], "2": []}
    with Group(1) as one, Group(2) as two:
        for number in range(runs + 1):
            for name, group in (("1", one), ("2", two)):
                figures = await run(group, mix)
                if number:  # the first round warms up
                    found[name].append(figures)
    cpu = {name: [one["cpu_us"] for one in figures] for name, figures in found.items()}
    return {
        "cpu_us": {
            name: {"lowest": min(all_runs), "median": statistics.median(all_runs)}
            for name, all_runs in cpu.items()
        },
        "ratio": {
            "of_lowest": min(cpu["2"]) / min(cpu["1"]),
            "of_medians": statistics.median(cpu["2"]) / statistics.median(cpu["1"]),
            "median_of_pairs": statistics.median(
                two / one for one, two in zip(cpu["1"], cpu["2"], strict=True)
            ),
        },
        "events_a_batch": {name: figures[-1]["events_a_batch"] for name, figures in found.items()},
        "events_by_worker": [figures["events_by_worker"] for figures in found["2"]],
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of what `measure` returned."""
    rows = []
    for name, cpu in found["cpu_us"].items():
        words = "one server" if name == "1" else f"{name} workers"
        rows.append([words, f"{cpu['lowest']:.1f}", f"{cpu['median']:.1f}"])
    ratio = found["ratio"]
    shares = ", ".join(f"{count:,}" for count in found["events_by_worker"][-1].values())
    note = (
        f"Two workers take {ratio['of_lowest']:.2f} times the CPU of one server (lowest), {ratio['of_medians']:.2f}"
        f" (medians), {ratio['median_of_pairs']:.2f} (median of pairs). Their shares of the events: {shares}."
    )
    header = ["eight streams over", "server CPU, µs an event: lowest", "median"]
    return [Table("workers", header, rows, (note,))]
