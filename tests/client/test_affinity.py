"""Streams whose persons stay on one sidecar, with real sidecars and real sockets."""

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import Any

import grpc
import pytest
from ciosidecar import (
    Affinity,
    AsyncClient,
    AsyncStream,
    CallFailed,
    Client,
    StreamOptions,
    Unavailable,
    v1,
)
from ciosidecar.affinity import address_order, slot_of
from ciosidecar_sandbox.testing import Running, running_sandbox
from ciosidecar_server.testing import TestServer, run_in_background, server

from tests.client.both import CONFIG, close, plain, run_async, run_sync
from tests.client.scripted import Connection, scripted
from tests.processes import server as process

both = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])
PERSON = StreamOptions(affinity=Affinity.PERSON)
PEOPLE = 40


def track(number: int, person: str) -> bytes:
    """An event whose name says which it is."""
    name = f"{person}:{number}"
    return json.dumps(
        {"type": "track", "userId": person, "messageId": name, "event": name}
    ).encode()


def tracks(count: int) -> list[bytes]:
    """Numbered events of forty people, in turn."""
    return [track(number, f"user-{number % PEOPLE}") for number in range(count)]


def home(person: str, addresses: list[str]) -> str:
    """The address that a person's events go to while all sidecars are there."""
    return addresses[address_order(slot_of(person.encode()), addresses)[0]]


def apart(step: Callable[[], None]) -> None:
    """Do something in a thread: the event loop that a test runs in may be needed for it."""
    threading.Thread(target=step).start()


@contextmanager
def sidecars(count: int, **settings: Any) -> Iterator[list[TestServer]]:
    """Several sidecars in this process."""
    with ExitStack() as stack:
        yield [stack.enter_context(server(**settings)) for _ in range(count)]


def orders_at(sandbox: Running) -> dict[str, list[int]]:
    """The numbers of the events that Customer.io got, by person, in order of arrival."""
    seen: dict[str, list[int]] = defaultdict(list)
    for event in sandbox.workspace.events.kept:
        person, number = event.name.split(":")
        seen[person].append(int(number))
    return seen


@both
def test_each_person_is_on_one_sidecar_whichever_stream_sends(run: Any) -> None:
    """The address of a person's rendezvous order, from every client; answers come in order."""
    heard: dict[str, set[str]] = defaultdict(set)
    # A client does not wait long for the others once one sidecar has answered: all answer together.
    all_called = threading.Barrier(3)

    def listener(name: list[str]) -> Any:
        def script(connection: Connection) -> None:
            all_called.wait(60)
            connection.open()
            while (batch := connection.batch()) is not None:
                for item in batch.items:
                    heard[name[0]].add(json.loads(item.json)["userId"])
                connection.answer(batch)

        return script

    names: list[list[str]] = [["?"], ["?"], ["?"]]
    with ExitStack() as stack:
        addresses = []
        for name in names:
            address, _ = stack.enter_context(scripted(*[listener(name)] * 3))
            name[0] = address
            addresses.append(address)
        for listed in (addresses, addresses[::-1]):
            answers, reconnects = run(listed, plain(tracks(400)), PERSON)
            assert [answer.attachment for answer in answers] == tracks(400)
            assert [answer.result.position for answer in answers] == list(range(400))
            assert reconnects == 0
    assert set(heard) == set(addresses)
    for address, people in heard.items():
        assert {home(person, addresses) for person in people} == {address}


@both
@pytest.mark.timeout(240)
def test_order_holds_while_a_sidecar_drains_and_another_takes_its_persons(run: Any) -> None:
    """Each event is delivered and answered exactly once, in the order of its person."""
    events = tracks(2000)
    with running_sandbox() as sandbox, sidecars(3, customerio_url=sandbox.url) as fleet:

        def drained() -> Iterator[bytes]:
            for number, event in enumerate(events):
                if number == 700:
                    apart(fleet[0].drain)
                yield event

        addresses = [sidecar.address for sidecar in fleet]
        answers, _ = run(addresses, plain(drained()), PERSON, deliver=True)
        assert [answer.result.status for answer in answers] == [200] * len(events)
        seen = orders_at(sandbox)
    assert sum(map(len, seen.values())) == len(events)
    assert all(numbers == sorted(numbers) for numbers in seen.values())


@both
@pytest.mark.timeout(240)
def test_a_killed_sidecar_moves_its_persons_alone(run: Any) -> None:
    """Their unanswered events are sent again, in order; the events of all others are delivered once."""
    events = tracks(2000)
    with running_sandbox() as sandbox, ExitStack() as stack:
        arguments = ("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url)
        fleet = [stack.enter_context(process(*arguments)) for _ in range(3)]
        addresses = [sidecar.addresses[0] for sidecar in fleet]

        def killed() -> Iterator[bytes]:
            for number, event in enumerate(events):
                if number == 1000:
                    fleet[0].process.kill()
                yield event

        options = StreamOptions(affinity=Affinity.PERSON, max_outstanding_events=500)
        answers, reconnects = run(addresses, plain(killed()), options, deliver=True)
        assert [answer.attachment for answer in answers] == events
        assert [answer.result.status for answer in answers] == [200] * len(events)
        assert reconnects >= 0
        seen = orders_at(sandbox)
    moved = [f"user-{number}" for number in range(PEOPLE)]
    moved = [person for person in moved if home(person, addresses) == addresses[0]]
    for person, numbers in seen.items():
        firsts = list(dict.fromkeys(numbers))
        assert firsts == sorted(firsts)
        assert len(firsts) == len(events) / PEOPLE
        if person not in moved:
            assert numbers == firsts


@both
@pytest.mark.timeout(240)
def test_a_sidecar_that_comes_late_gets_its_persons(run: Any) -> None:
    """An address at which nobody listens blocks nobody; once a sidecar listens there, its persons go to it."""
    with server() as first, server() as late:
        addresses = [first.address, late.address]
        late.stop()
        heard: list[bytes] = []

        def script(connection: Connection) -> None:
            connection.open()
            while (batch := connection.batch()) is not None:
                heard.extend(item.json for item in batch.items)
                connection.answer(batch)

        person = next(
            name
            for name in (f"user-{n}" for n in range(99))
            if home(name, addresses) == late.address
        )
        with ExitStack() as stack:

            def sends() -> Iterator[bytes]:
                yield from (track(number, person) for number in range(10))
                stack.enter_context(scripted(script, listen=late.address))
                number = 10
                ends_at = time.monotonic() + 30
                while not heard and time.monotonic() < ends_at:
                    yield track(number, person)
                    number += 1

            # Few events at a time, so that sending waits for answers and the event loop goes on.
            options = StreamOptions(
                affinity=Affinity.PERSON, max_batch_events=1, max_outstanding_events=2
            )
            answers, _ = run(addresses, plain(sends()), options)
    assert heard
    assert [answer.result.status for answer in answers] == [200] * len(answers)


async def send(stream: Any, event: bytes) -> None:
    """Send an event, with either client."""
    if isinstance(stream, AsyncStream):
        await stream.send(event)
    else:
        stream.send(event)


async def receive(stream: Any) -> None:
    """Wait for the next answer, with either client."""
    if isinstance(stream, AsyncStream):
        await anext(aiter(stream))
    else:
        next(iter(stream))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.timeout(240)
def test_a_sidecar_that_returned_gets_a_single_event(kind: Any) -> None:
    """A sidecar whose events were taken away is used at once when it returns, without another signal."""
    drain = threading.Event()
    heard: list[v1.Batch] = []

    def drains(connection: Connection) -> None:
        connection.open()
        drain.wait(60)
        connection.drain()
        assert connection.batch() is None

    def answers(connection: Connection) -> None:
        connection.open()
        connection.answer_everything()

    def returned(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            heard.append(batch)
            connection.answer(batch)

    async def play(addresses: list[str]) -> None:
        people = [f"user-{number}" for number in range(99)]
        own, other = (
            next(track(0, person) for person in people if home(person, addresses) == address)
            for address in addresses
        )
        async with AsyncExitStack() as stack:

            async def entered(context: Any) -> Any:
                if hasattr(context, "__aenter__"):
                    return await stack.enter_async_context(context)
                return stack.enter_context(context)

            client = await entered(kind(addresses))
            options = StreamOptions(affinity=Affinity.PERSON, linger_s=1)
            stream = await entered(client.stream(CONFIG, options))
            await send(stream, other)
            await receive(stream)
            await send(stream, own)
            drain.set()
            await receive(stream)
            while not heard:  # until the client is connected again; the test's time limit bounds it
                await send(stream, own)
                await receive(stream)

    with (
        scripted(drains, returned) as (first, sidecar),
        scripted(answers) as (second, _),
    ):
        asyncio.run(play([first, second]))
        assert len(sidecar.connections) == 2


@both
@pytest.mark.timeout(240)
def test_a_stream_without_any_sidecar_gives_up(run: Any) -> None:
    """After the time for reconnecting, counted from the end of the last connection."""
    with sidecars(2) as fleet:
        addresses = [sidecar.address for sidecar in fleet]

        def sends() -> Iterator[bytes]:
            yield track(0, "u1")
            for sidecar in fleet:
                apart(sidecar.stop)
            # The sidecars may answer some more before they stop.
            ends_at = time.monotonic() + 30
            number = 1
            while time.monotonic() < ends_at:
                yield track(number, "u1")
                number += 1

        # Few events at a time, so that sending waits for answers and the event loop goes on.
        options = StreamOptions(
            affinity=Affinity.PERSON,
            reconnect_for_s=0.5,
            max_batch_events=1,
            max_outstanding_events=2,
        )
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"no answer for 0\.5 s"):
            run(addresses, plain(sends()), options)
    assert time.monotonic() - began < 20


@both
@pytest.mark.timeout(240)
def test_an_event_that_ends_every_call_does_not_go_on_for_ever(run: Any) -> None:
    """Sidecars that open and answer nothing count as none."""

    def dies(connection: Connection) -> None:
        connection.open()
        connection.batch()
        connection.fail(grpc.StatusCode.UNAVAILABLE)

    with scripted(dies) as (first, _), server() as second:
        second.stop()
        options = StreamOptions(affinity=Affinity.PERSON, reconnect_for_s=0.3)
        with pytest.raises(Unavailable, match=r"no answer for 0\.3 s"):
            run([first, second.address], plain([track(0, "u1")]), options)


@both
@pytest.mark.timeout(240)
def test_a_lasting_absence_of_one_sidecar_fails_nothing(run: Any) -> None:
    """The stream gives up only while it has no connection at all."""
    with sidecars(2) as fleet:
        addresses = [sidecar.address for sidecar in fleet]
        fleet[0].stop()

        def sends() -> Iterator[bytes]:
            ends_at = time.monotonic() + 2
            number = 0
            while time.monotonic() < ends_at:
                yield track(number, f"user-{number % PEOPLE}")
                number += 1
                time.sleep(0.005)

        options = StreamOptions(affinity=Affinity.PERSON, reconnect_for_s=0.5)
        answers, _ = run(addresses, plain(sends()), options)
    assert {answer.result.status for answer in answers} == {200}


@both
@pytest.mark.timeout(240)
def test_a_refusal_by_one_sidecar_fails_the_stream(run: Any) -> None:
    """As on a stream without affinity: another attempt would be refused again."""

    def refuses(connection: Connection) -> None:
        connection.hear()
        connection.fail(grpc.StatusCode.PERMISSION_DENIED, "not you")

    with (
        server() as good,
        scripted(refuses) as (address, _),
        pytest.raises(CallFailed, match="not you"),
    ):
        run([good.address, address], plain(tracks(100)), PERSON)


@both
def test_flow_control_counts_the_events_of_all_sidecars(run: Any) -> None:
    """The limit is that of the stream."""
    with sidecars(2) as fleet:
        options = StreamOptions(affinity=Affinity.PERSON, max_outstanding_events=7)
        answers, _ = run([sidecar.address for sidecar in fleet], plain(tracks(500)), options)
    assert [answer.attachment for answer in answers] == tracks(500)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_affinity_needs_several_addresses(kind: Any) -> None:
    """One address, also if it is given twice, or a channel of the caller's."""

    async def ask(*addresses: str) -> None:
        client = kind(list(addresses))
        try:
            with pytest.raises(ValueError, match="several sidecars"):
                client.stream(CONFIG, PERSON)
        finally:
            await close(client)

    run_in_background(ask("127.0.0.1:1"))
    run_in_background(ask("127.0.0.1:1", "127.0.0.1:1"))


def test_events_of_one_batch_travel_apart_by_person() -> None:
    """Each sidecar gets its part as a message of its own."""
    with (
        sidecars(2) as fleet,
        Client([sidecar.address for sidecar in fleet]) as client,
        client.stream(CONFIG, PERSON) as stream,
    ):
        stream.send_batch(tracks(100))
        stream.finish()
        answers = list(stream)
    assert [answer.attachment for answer in answers] == tracks(100)
