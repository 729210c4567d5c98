"""How server CPU grows with events a message, destinations, streams and the bytes of an event.

The points of an axis take turns, so a noisy minute falls on all of them. The echo is measured beside the sidecar: what
it has of a slope belongs to gRPC and the machine.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from ciosidecar import v1
from grpc import aio

from . import load
from .events import CONFIG, events
from .fit import exponent, spread
from .implementations import ECHO, ENVIRONMENTS, LABELS, SERVE, installed
from .machine import log
from .server_process import ServerProcess
from .tables import Table, counted, micros

FLAT_WITHIN = 0.15
LINEAR_WITHIN = 0.15
"""How far above 1 an exponent by bytes may be. A fixed cost of each event brings it below 1, so the exponent of
large events alone is bounded too."""
_LARGE_FROM = 10_000
ROUNDS = 5

Measure = Callable[[ServerProcess, int], Awaitable[load.Figures]]


class Axis(NamedTuple):
    """What grows, its values, and how one value is measured."""

    label: str
    values: Sequence[int]
    measure: Measure
    flat: bool = True


async def _events_a_message(server: ServerProcess, size: int) -> load.Figures:
    return await load.stream(server, _MIX, size, 1)


async def _destinations(server: ServerProcess, count: int) -> load.Figures:
    """Send messages of a thousand events, whose destinations alternate."""
    declared = [
        v1.Destination(
            reference_id=number,
            config_json=CONFIG.replace(b"46be54768e7d49ab2628", b"site-%d" % number),
        )
        for number in range(1, count + 1)
    ]
    size = 1_000
    batches = load.batches(_MIX, size)
    for index, batch in enumerate(batches):
        for position, item in enumerate(batch.items):
            item.destination = (index * size + position) % count + 1
    messages = [v1.TransformStreamRequest(batch=batch) for batch in batches]
    async with aio.insecure_channel(server.address, options=load.OPTIONS) as channel:
        return await load.exchange(server, channel, declared, messages, len(_MIX))


async def _streams(server: ServerProcess, count: int) -> load.Figures:
    """Send the mix a hundred events a message, over as many streams of one connection at once."""
    messages = [v1.TransformStreamRequest(batch=batch) for batch in load.batches(_STREAMED, 100)]
    waiting = iter(messages)
    transformed = 0

    async def caller(call: Any) -> None:
        nonlocal transformed
        for message in waiting:
            await call.write(message)
            complete = False
            while not complete:
                results = (await call.read()).results
                transformed += sum(status == 200 for status in results.statuses)
                complete = results.batch_complete
        await call.done_writing()

    async with aio.insecure_channel(server.address, options=load.OPTIONS) as channel:
        stub = v1.SidecarServiceStub(channel)
        calls = [
            await load.opened(stub, [v1.Destination(reference_id=1, config_json=CONFIG)])
            for _ in range(count)
        ]
        measured = load.Measured(server)
        await asyncio.gather(*map(caller, calls))
        figures = measured.figures(len(_STREAMED))
    load.require_all(transformed, figures)
    return figures


async def _bytes(server: ServerProcess, size: int) -> load.Figures:
    """Send track events of a size, a hundred a message if that is one MB at most."""
    sample = [sized(size)] * max(24, min(4_000, 6_000_000 // size))
    return await load.stream(server, sample, min(100, 1_000_000 // size), 1)


def sized(size: int) -> bytes:
    """Return a track event of so many bytes: a quarter in properties, the rest in members that no rule reads."""
    head = (
        b'{"type":"track","event":"Order Completed","userId":"user-1","messageId":"m-1",'
        b'"originalTimestamp":"2026-03-04T05:06:07.890Z","properties":{"n":1'
    )
    between, tail = b'},"context":{"n":1', b"}}"
    left = size - len(head) - len(between) - len(tail)
    quarter, rest = _members(left // 4), _members(left - left // 4)
    return head + quarter + between + rest + tail


def _members(size: int) -> bytes:
    """Return members of an object, of so many bytes, with a comma before each."""
    found = bytearray()
    while size - len(found) >= 80:
        found += b',"p%06d":"a teapot of some size"' % (len(found) % 10**6)
    left = size - len(found)
    return bytes(found) + (b',"q":"%b"' % (b"x" * (left - 7)) if left >= 7 else b" " * left)


_MIX = [event for _, event in events(10_000)]
_STREAMED = _MIX * 2  # so that each of 200 streams has a message
AXES = {
    "events": Axis("events a message", (100, 300, 1_000, 3_000, 10_000), _events_a_message),
    "destinations": Axis("destinations of a stream", (1, 10, 100, 1_000), _destinations),
    "streams": Axis("streams at once", (1, 10, 50, 200), _streams),
    "bytes": Axis(
        "bytes of an event",
        (300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000),
        _bytes,
        flat=False,
    ),
}


async def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure every axis: AXIS, then SERVER, with its points in µs an event, their exponent and spread."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        servers = {"echo": stack.enter_context(ServerProcess(*ECHO))}
        for name in installed():
            server = ServerProcess(*SERVE, environment=ENVIRONMENTS[name])
            servers[name] = stack.enter_context(server)
        for name, axis in AXES.items():
            log(f"scale: {axis.label}, {rounds} rounds")
            found[name] = await _measure_axis(axis, servers, rounds)
    return found


async def _measure_axis(
    axis: Axis, servers: dict[str, ServerProcess], rounds: int
) -> dict[str, Any]:
    runs: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for value in axis.values:
            for name, server in servers.items():
                figures = await axis.measure(server, value)
                if number:  # the first round warms up
                    runs[name, value].append(figures.server_cpu_us_per_event)
    found = {}
    for name in servers:
        # The lowest, because other work on the machine only adds.
        costs = {value: min(runs[name, value]) for value in axis.values}
        found[name] = {
            "server_cpu_us": {str(value): cost for value, cost in costs.items()},
            "exponent": exponent(list(costs), list(costs.values())),
        }
        if axis.flat:
            found[name]["spread"] = spread(list(costs.values()))
        else:
            large = {value: cost for value, cost in costs.items() if value >= _LARGE_FROM}
            found[name]["exponent_of_large"] = exponent(list(large), list(large.values()))
    return found


def met(axis: Axis, figures: dict[str, Any]) -> bool:
    """Return whether a server keeps the bound of an axis."""
    if axis.flat:
        return bool(figures["spread"] <= FLAT_WITHIN)
    return bool(max(figures["exponent"], figures["exponent_of_large"]) <= 1 + LINEAR_WITHIN)


def tables(found: dict[str, Any]) -> list[Table]:
    """Return a table of each axis, with its exponents and whether the bound is met."""
    return [_table(AXES[name], by_server) for name, by_server in found.items()]


def _table(axis: Axis, by_server: dict[str, Any]) -> Table:
    names = [name for name in LABELS if name in by_server]
    values = list(by_server[names[0]]["server_cpu_us"])
    rows = []
    for name in names:
        one = by_server[name]
        rows.append([LABELS[name], *(micros(one["server_cpu_us"][value]) for value in values)])
        rows[-1] += [f"{one['exponent']:.2f}", _shape(axis, one)]
    missed = [
        f"{LABELS[name]} ({_shape(axis, by_server[name])})"
        for name in names
        if name != "echo" and not met(axis, by_server[name])
    ]
    if axis.flat:
        last, bound = (
            "highest above lowest",
            f"the highest at most {FLAT_WITHIN:.0%} above the lowest",
        )
    else:
        last = f"exponent from {_LARGE_FROM:,}"
        bound = f"both exponents at most {1 + LINEAR_WITHIN}"
    verdict = f"**missed** by {' and by '.join(missed)}" if missed else "met"
    return Table(
        f"by {axis.label}, server CPU in µs an event, the lowest of the rounds",
        ["", *(counted(float(value)) for value in values), "exponent", last],
        rows,
        [f"Bound: {bound}: {verdict}."],
    )


def _shape(axis: Axis, figures: dict[str, Any]) -> str:
    return f"{figures['spread']:.0%}" if axis.flat else f"{figures['exponent_of_large']:.2f}"
