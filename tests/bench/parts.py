"""The parts of the bench: what each measures, and its tables."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import uvloop

from . import callers, clients, delivery, destinations, memory, scale, service, transform, workers
from .tables import Table


class Settings(NamedTuple):
    """What the command line decides for the parts."""

    rounds: int | None
    sizes: Sequence[int]
    memory_events: int


class Part(NamedTuple):
    """A part of the bench. `measure` returns figures for JSON, which `tables` understands."""

    says: str
    measure: Callable[[Settings], Any]
    tables: Callable[[Any], list[Table]]


PARTS = {
    "service": Part(
        "server CPU an event: echo, compiled, pure Python; stream, unary, delivery; v1, v2",
        lambda settings: uvloop.run(
            service.measure(settings.rounds or service.ROUNDS, settings.sizes)
        ),
        service.tables,
    ),
    "transform": Part(
        "the transform alone in a hot loop, by kind of event and API version",
        lambda _: transform.measure(),
        transform.tables,
    ),
    "callers": Part(
        "start to ready, events one at a time from eight callers, Python's clients",
        lambda _: uvloop.run(callers.measure()),
        callers.tables,
    ),
    "latency": Part(
        "waits of a small batch beside huge batches and beside bad peers",
        lambda _: uvloop.run(callers.measure_latency()),
        callers.latency_tables,
    ),
    "scale": Part(
        "cost by events a message, destinations, streams and bytes, with exponents",
        lambda settings: uvloop.run(scale.measure(settings.rounds or scale.ROUNDS)),
        scale.tables,
    ),
    "memory": Part(
        "the server's memory after --memory-events, against after a tenth of them",
        lambda settings: asyncio.run(memory.measure(settings.memory_events)),
        memory.tables,
    ),
    "delivery": Part(
        "delivery beside the HTTP library alone, and 20 s just below the default rate",
        lambda _: uvloop.run(delivery.measure()),
        delivery.tables,
    ),
    "destinations": Part(
        "97 good destinations, alone and beside three bad ones",
        lambda _: uvloop.run(destinations.measure()),
        destinations.tables,
    ),
    "troubles": Part(
        "20 good destinations, beside 80 good ones and beside 80 in trouble",
        lambda _: uvloop.run(destinations.measure_troubles()),
        destinations.troubles_tables,
    ),
    "workers": Part(
        "eight streams over two workers, compared with one server",
        lambda _: uvloop.run(workers.measure()),
        workers.tables,
    ),
    "clients": Part(
        "events a second through the clients of all languages",
        lambda _: clients.measure(),
        clients.tables,
    ),
}
"""By name, in the order in which they run."""
