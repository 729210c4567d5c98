"""A sidecar that is killed and asked to end in turns, under events, rows of a warehouse and prepared requests."""

import asyncio
import json
import signal
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from ciosidecar import ApiRequest, Client, DeliveryOptions, StreamOptions

from tests.chaos.beside import FAULTY, LOOPBACK, event, healthy_beside
from tests.fake_customerio import HOLD, OK, WITHIN_S, FakeCustomerio, fake_customerio
from tests.ports import free_port
from tests.processes import TIMEOUT_S, Server, server

pytestmark = pytest.mark.serial

CONFIG = json.loads(FAULTY)
ROWS = {"object": "event"}
ITEMS = 90
PEOPLE = 15
HELD = 3
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)
SMALL = StreamOptions(max_batch_events=5, reconnect_for_s=2 * TIMEOUT_S)
"""Many batches, so that each end meets some that are answered, some in flight, and some not sent."""


@dataclass
class Book:
    """What a caller was told."""

    delivered: dict[str, int] = field(default_factory=dict)
    """By name, how many requests had arrived when the caller was told that it is delivered."""
    problems: list[str] = field(default_factory=list)


async def test_a_sidecar_is_killed_and_ended_in_turns() -> None:
    """All arrives. Only what was unanswered at a kill is sent again, with the same event id, and nothing that was told."""
    address = f"127.0.0.1:{free_port()}"
    arguments = ("--listen", address)
    book = Book()
    explained: set[str] = set()
    async with fake_customerio() as customerio, fake_customerio() as beside:
        urls = ("--customerio-url", customerio.url)
        with server(*LOOPBACK, "--customerio-url", beside.url) as other:
            async with healthy_beside(other.addresses[0]):
                async with started(*arguments, *urls) as first:
                    prepared = await asyncio.to_thread(prepared_requests, address)
                    hold(customerio)
                    thread = threading.Thread(
                        target=deliver, args=(address, prepared, book, customerio), daemon=True
                    )
                    thread.start()
                    await end(first, ENDS[0], customerio, book, explained)
                for number in ENDS[1:]:
                    async with started(*arguments, *urls) as running:
                        await end(running, number, customerio, book, explained)
                async with started(*arguments, *urls):
                    await asyncio.to_thread(thread.join, 3 * WITHIN_S)
    assert not thread.is_alive()
    assert book.problems == []
    check(customerio, book, explained)


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Server]:
    """Start a sidecar in a thread: its start takes seconds, in which the healthy caller goes on."""
    with ExitStack() as stack:
        yield await asyncio.to_thread(stack.enter_context, server(*arguments))


def prepared_requests(address: str) -> list[ApiRequest]:
    """Return requests that the sidecar transformed before."""
    events = [event(f"prepared {number}", f"p{number % PEOPLE}") for number in range(ITEMS)]
    with Client(address) as client:
        results = client.transform(events, CONFIG)
    return [request for result in results for request in result.requests]


def row(name: str, user: str) -> dict[str, Any]:
    """Return a row of a warehouse that becomes an event."""
    identifiers = {"id": user, "name": name}
    return {
        "type": "record",
        "action": "insert",
        "identifiers": identifiers,
        "messageId": f"message of {name}",
    }


def deliver(
    address: str, prepared: list[ApiRequest], book: Book, customerio: FakeCustomerio
) -> None:
    """Deliver items of three kinds in turns. Send what comes back as retryable again, in order."""
    items: list[tuple[str, Any, dict[str, Any]]] = []
    for number, request in enumerate(prepared):
        person = number % PEOPLE
        known = {"destination": CONFIG}
        items += [
            (f"event {number}", event(f"event {number}", f"e{person}"), known),
            (f"row {number}", row(f"row {number}", f"r{person}"), known | {"connection": ROWS}),
            (f"prepared {number}", request, {}),
        ]
    try:
        with (
            Client(address) as client,
            client.stream(options=SMALL, deliver=DeliveryOptions(timeout_s=WITHIN_S)) as stream,
        ):
            answers = iter(stream)
            while items:
                for entry in items:
                    stream.send(entry[1], entry, **entry[2])
                items = list(failed(answers, len(items), book, customerio))
    except Exception as fault:  # noqa: BLE001 - shown by the test
        book.problems.append(repr(fault))


def failed(answers: Any, number: int, book: Book, customerio: FakeCustomerio) -> Iterator[Any]:
    """Take so many answers. Yield the items that must be sent again."""
    for _ in range(number):
        entry, result = next(answers)
        if result.error is None:
            book.delivered[entry[0]] = len(customerio.requests)
        elif result.error.retryable:
            yield entry
        else:
            book.problems.append(f"{entry[0]}: {result.error.code}")


def hold(customerio: FakeCustomerio) -> None:
    """Let Customer.io answer some requests, and hold those that follow."""
    customerio.answers(*[OK] * 20, then=HOLD)


async def end(
    running: Server,
    number: signal.Signals,
    customerio: FakeCustomerio,
    book: Book,
    explained: set[str],
) -> None:
    """End a sidecar while Customer.io holds some of its requests. Note what may be sent again because of that."""
    hold(customerio)
    while len(customerio.unanswered) < HELD:
        await customerio.arrived(len(customerio.requests) + 1)
    running.signal(number)
    if number is signal.SIGKILL:
        await asyncio.to_thread(running.process.wait, TIMEOUT_S)
    customerio.rule = lambda _request: OK
    for request in customerio.unanswered:
        request.release()
    code = await asyncio.to_thread(running.process.wait, TIMEOUT_S)
    if number is signal.SIGKILL:
        # It may have written requests that Customer.io had not read yet.
        await customerio.all_read()
        explained |= set(customerio.names) - set(book.delivered)
    assert code == (-number if number is signal.SIGKILL else 0)


def check(customerio: FakeCustomerio, book: Book, explained: set[str]) -> None:
    """Compare what arrived with what the caller was told."""
    arrivals: dict[str, list[int]] = defaultdict(list)
    ids: dict[str, set[str]] = defaultdict(set)
    for position, request in enumerate(customerio.requests):
        arrivals[request.name].append(position)
        ids[request.name].add(json.loads(request.body)["id"])
    kinds = ("event", "row", "prepared")
    expected = {f"{kind} {number}" for kind in kinds for number in range(ITEMS)}
    assert arrivals.keys() == book.delivered.keys() == expected
    assert all(len(found) == 1 for found in ids.values())
    repeated = {name for name, positions in arrivals.items() if len(positions) > 1}
    assert repeated <= explained
    assert repeated  # or no kill met a request
    assert all(positions[-1] < book.delivered[name] for name, positions in arrivals.items())
