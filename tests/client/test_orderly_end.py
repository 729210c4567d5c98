"""Leaving a stream whose events are answered: the sidecar logs that it was finished."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable

import pytest
from ciosidecar import AsyncClient, Client

from tests.client.both import CONFIG, TRACK
from tests.client.scripted import Connection, scripted
from tests.processes import server

STREAMS = 40


def threads(address: str) -> None:
    """Open streams one after another: half with `map`, half that are left without `finish`."""
    with Client(address) as client:
        for index in range(STREAMS):
            with client.stream(CONFIG) as stream:
                if index % 2:
                    assert len(list(stream.map([TRACK]))) == 1
                else:
                    stream.send(TRACK)
                    assert next(iter(stream)).result.ok


def tasks(address: str) -> None:
    """Do the same with asyncio."""

    async def main() -> None:
        async with AsyncClient(address) as client:
            for index in range(STREAMS):
                async with client.stream(CONFIG) as stream:
                    if index % 2:
                        assert len([answer async for answer in stream.map([TRACK])]) == 1
                    else:
                        await stream.send(TRACK)
                        assert (await anext(aiter(stream))).result.ok

    asyncio.run(main())


@pytest.mark.parametrize("use", [threads, tasks])
def test_a_stream_with_every_event_answered_is_finished(use: Callable[[str], None]) -> None:
    """However fast its block is left."""
    with server("--listen", "127.0.0.1:0", "--log-level", "info") as running:
        use(running.addresses[0])
        running.signal(signal.SIGTERM)
        code, log = running.end()
    assert code == 0
    assert log.count("finished") >= STREAMS
    assert "cancelled" not in log


def test_leaving_does_not_wait_for_a_sidecar_that_never_ends_the_call() -> None:
    """Longer than two seconds."""

    def never_end(connection: Connection) -> None:
        connection.open()
        connection.answer_everything()
        over = threading.Event()
        connection._context.add_callback(over.set)
        over.wait(30)

    with scripted(never_end) as (address, _), Client(address) as client:
        began = time.monotonic()
        with client.stream(CONFIG) as stream:
            assert len(list(stream.map([TRACK]))) == 1
        assert time.monotonic() - began < 10
