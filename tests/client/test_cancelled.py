"""The client for asyncio, where a task that uses it is cancelled."""

import asyncio
import threading

import pytest
from ciosidecar import AsyncClient, StreamOptions

from tests.client.both import CONFIG, TRACK
from tests.client.scripted import Connection, scripted


async def test_a_send_batch_that_raises_has_sent_none() -> None:
    """Cancelled after its first step: either it has returned, and both events are sent, or none is."""
    heard: list[int] = []

    def play(connection: Connection) -> None:
        connection.open()
        while (batch := connection.batch()) is not None:
            heard.append(len(batch.items))
            connection.answer(batch)

    options = StreamOptions(max_batch_events=2)
    with scripted(play) as (address, _):
        async with AsyncClient(address) as client, client.stream(CONFIG, options) as stream:
            sending = asyncio.create_task(stream.send_batch([TRACK, TRACK]))
            asyncio.get_running_loop().call_soon(sending.cancel)
            (raised,) = await asyncio.gather(sending, return_exceptions=True)
            stream.finish()
            answers = [answer async for answer in stream]
    sent = 0 if isinstance(raised, asyncio.CancelledError) else 2
    assert (len(answers), sum(heard)) == (sent, sent)


async def test_a_stream_whose_leaving_is_cancelled_is_over() -> None:
    """As with `asyncio.timeout` around the block: no task of it goes on."""
    over, answered = threading.Event(), threading.Event()

    def never_end(connection: Connection) -> None:
        connection.open()
        connection.answer_everything()  # until Finish
        answered.set()
        connection._context.add_callback(over.set)
        over.wait(30)

    with scripted(never_end) as (address, _):
        async with AsyncClient(address) as client:
            stream = client.stream(CONFIG)

            async def use() -> None:
                async with stream:
                    await stream.send(TRACK)
                    assert (await anext(aiter(stream))).result.ok

            using = asyncio.create_task(use())
            assert await asyncio.to_thread(answered.wait, 20)
            using.cancel()
            with pytest.raises(asyncio.CancelledError):
                await using
            assert not stream.is_open
            assert all(task.done() for task in stream._tasks)
