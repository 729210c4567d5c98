"""Server CPU an event: by implementation, call, API version and events a message, beside an echo.

All cases take turns in every round, so a noisy minute falls on all of them.
"""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from . import delivery, load
from .events import events
from .implementations import ECHO, ENVIRONMENTS, LABELS, installed
from .machine import log
from .server_process import ServerProcess
from .tables import Table, counted, micros

SIZES = (1, 10, 100, 500, 1_000)
ROUNDS = 9
LEAST_ROUNDS = 3
WITHIN_S = 95
"""Seconds after which no round begins that would take longer, so that the part ends within two minutes."""
CALLS = ("stream", "unary", "stream_v2", "unary_v2", "delivery_v1", "delivery_v2")
"""The calls by their names in the JSON. `stream` and `unary` are those of Track API v1; delivery is by stream."""

_CONFIGS = {
    version: b'{"siteID": "46be54768e7d49ab2628", "apiKey": "dummyApiKey", "apiVersion": "%b"}'
    % version
    for version in (b"v1", b"v2")
}
# Events of one run: some 0.1 s of the server's core. Many short rounds have a better median than a few long ones.
_TRANSFORMED = {1: 400, 10: 2_000, 100: 3_000, 500: 3_000, 1_000: 4_000}
_DELIVERED_V1 = 300
_DELIVERED_V2 = {1: 400, 10: 2_000, 100: 4_000, 500: 5_000, 1_000: 5_000}
_UNBOUNDED = ("--delivery-rate", "1000000", "--delivery-concurrency", str(delivery.CONCURRENCY))

Drive = Callable[[int], Awaitable[load.Figures]]


class Case(NamedTuple):
    """A server and a call, and how to send one run of a message size."""

    server: str
    call: str
    drive: Drive


async def measure(rounds: int = ROUNDS, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Measure server CPU in µs an event: SERVER, then CALL, then events a message, all as text.

    On a machine that is slow or busy, as many rounds are measured as fit into WITHIN_S, but LEAST_ROUNDS at least.
    """
    ends_at = time.monotonic() + WITHIN_S
    runs: dict[tuple[str, str, int], list[load.Figures]] = defaultdict(list)
    with ExitStack() as stack:
        cases = _start(stack, installed())
        for case in cases:
            await case.drive(sizes[len(sizes) // 2])  # the first run of a server warms it up
        for number in range(rounds):
            log(
                f"service: round {number + 1} of {rounds}, {len(cases)} cases of {len(sizes)} sizes"
            )
            began = time.monotonic()
            for size in sizes:
                for case in cases:
                    runs[case.server, case.call, size].append(await case.drive(size))
            too_long = time.monotonic() * 2 - began > ends_at
            if too_long and LEAST_ROUNDS <= number + 1 < rounds:
                log(f"service: ended after round {number + 1}, because another takes too long here")
                break
    found: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    for (server, call, size), figures in runs.items():
        cpu_us = [one.server_cpu_us_per_event for one in figures]
        found[server][call][str(size)] = {
            "server_cpu_us": statistics.median(cpu_us),
            "server_cpu_us_lowest": min(cpu_us),
            "server_cpu_us_by_round": cpu_us,
            "events_per_s": statistics.median(one.events_per_s for one in figures),
        }
    return {server: dict(calls) for server, calls in found.items()}


def _start(stack: ExitStack, implementations: Sequence[str]) -> list[Case]:
    """Start all servers, and return the cases in the order of their turns: those of a call follow one another."""
    null = stack.enter_context(delivery.NullCustomerio())
    echo = stack.enter_context(ServerProcess(*ECHO))
    cases = [
        Case("echo", "stream", _transform(echo, load.stream, b"v1")),
        Case("echo", "unary", _transform(echo, load.unary, b"v1")),
    ]
    for name in implementations:
        cases += sidecar_cases(stack, null, name)
    return sorted(cases, key=lambda case: CALLS.index(case.call))


def sidecar_cases(
    stack: ExitStack,
    null: delivery.NullCustomerio,
    name: str,
    python: str | Path = sys.executable,
) -> list[Case]:
    """Start a sidecar of an implementation, and return its cases, in the order of CALLS."""
    server = stack.enter_context(
        delivery.sidecar(null, *_UNBOUNDED, python=python, environment=ENVIRONMENTS[name])
    )
    drives = {
        "stream": _transform(server, load.stream, b"v1"),
        "unary": _transform(server, load.unary, b"v1"),
        "stream_v2": _transform(server, load.stream, b"v2"),
        "unary_v2": _transform(server, load.unary, b"v2"),
        "delivery_v1": _deliver(server, b"v1"),
        "delivery_v2": _deliver(server, b"v2"),
    }
    return [Case(name, call, drives[call]) for call in CALLS]


def _transform(server: ServerProcess, drive: Any, api_version: bytes) -> Drive:
    async def run(size: int) -> load.Figures:
        sample = _mix()[: _TRANSFORMED[size]]
        figures: load.Figures = await drive(server, sample, size, 1, _CONFIGS[api_version])
        return figures

    return run


def _deliver(server: ServerProcess, api_version: bytes) -> Drive:
    async def run(size: int) -> load.Figures:
        count = _DELIVERED_V1 if api_version == b"v1" else _DELIVERED_V2[size]
        sample = _orders()[:count]
        return (await delivery.deliver(server, sample, api_version, size=size))[0]

    return run


@cache
def _mix() -> list[bytes]:
    return [event for _, event in events(max(_TRANSFORMED.values()))]


@cache
def _orders() -> list[bytes]:
    return delivery.orders(max(_DELIVERED_V2.values()))


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the tables of what `measure` returned."""
    servers = [name for name in LABELS if name in found]
    sidecars = [name for name in servers if name != "echo"]
    sizes = list(found["python"]["stream"])
    shown = []
    for title, columns in (
        ("stream", _columns(servers, ("stream", "stream_v2"), found)),
        ("unary calls", _columns(servers, ("unary", "unary_v2"), found)),
        ("delivery", _columns(sidecars, ("delivery_v1", "delivery_v2"), found)),
    ):
        header = [_heading(server, call) for server, call in columns]
        rows = [
            [counted(int(size)), *(_cell(found[s][c][size]) for s, c in columns)] for size in sizes
        ]
        shown.append(
            Table(
                f"{title}, server CPU in µs an event (events a second)",
                ["events a message", *header],
                rows,
            )
        )
    rounds = len(found["python"]["stream"][sizes[0]]["server_cpu_us_by_round"])
    note = f"{rounds} rounds in which all cases take turns. Times are their medians. A ratio is the median of the rounds' ratios."
    shown.append(_ratios(found, sidecars, sizes, note))
    return shown


def median_ratio(figures: dict[str, Any], base: dict[str, Any]) -> float:
    """Return the median of the rounds' ratios: a machine that changes its speed changes both parts of a ratio."""
    ours: list[float] = figures["server_cpu_us_by_round"]
    others: list[float] = base["server_cpu_us_by_round"]
    return statistics.median(one / other for one, other in zip(ours, others, strict=True))


def _columns(
    servers: Sequence[str], calls: Sequence[str], found: dict[str, Any]
) -> list[tuple[str, str]]:
    return [(server, call) for server in servers for call in calls if call in found[server]]


def _heading(server: str, call: str) -> str:
    if server == "echo":
        return "echo"
    return f"{LABELS[server]}, {'v2' if call.endswith('v2') else 'v1'}"


def _cell(figures: dict[str, float]) -> str:
    return f"{micros(figures['server_cpu_us'])} ({counted(figures['events_per_s'])})"


def _ratios(
    found: dict[str, Any], sidecars: Sequence[str], sizes: Sequence[str], note: str
) -> Table:
    """Return the ratios that matter: to pure Python, to the echo, of unary to stream, of v2 to v1."""
    pairs: list[tuple[str, tuple[str, str], tuple[str, str]]] = []
    if "compiled" in sidecars:
        for call in CALLS:
            label = f"compiled / pure Python, {call.replace('_', ' ')}"
            pairs.append((label, ("compiled", call), ("python", call)))
    for name in sidecars:
        label = LABELS[name]
        pairs += [
            (f"{label} / echo, stream", (name, "stream"), ("echo", "stream")),
            (f"{label} / echo, unary", (name, "unary"), ("echo", "unary")),
            (f"{label}, unary / stream", (name, "unary"), (name, "stream")),
            (f"{label}, stream, v2 / v1", (name, "stream_v2"), (name, "stream")),
        ]
    rows = []
    for label, (server, call), (base, base_call) in pairs:
        rows.append([label])
        for size in sizes:
            ratio = median_ratio(found[server][call][size], found[base][base_call][size])
            rows[-1].append(f"{ratio:.2f}")
    return Table(
        "ratios of server CPU, by events a message",
        ["", *(counted(int(size)) for size in sizes)],
        rows,
        (note,),
    )
