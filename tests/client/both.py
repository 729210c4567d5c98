"""The two clients behind one function, so that one test checks both for the same behaviour."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ciosidecar import Answer, AsyncClient, Client, DeliveryOptions, StreamOptions
from ciosidecar_server.testing import run_in_background

Run = Callable[..., list[Answer]]

CONFIG = b'{"siteID": "site", "apiKey": "key"}'
TRACK = b'{"type":"track","userId":"u1","event":"Order"}'


def run_sync(
    addresses: Any,
    sends: Iterable[tuple[Any, dict[str, Any]]],
    options: StreamOptions | None = None,
    deliver: DeliveryOptions | bool = False,
    **client_options: Any,
) -> tuple[list[Answer], int]:
    """Send (event, keywords) from one thread, iterate in another; return the answers and the reconnects."""
    with (
        Client(addresses, **client_options) as client,
        client.stream(CONFIG, options, deliver=deliver) as stream,
    ):
        failures: list[Exception] = []

        def feed() -> None:
            try:
                for event, keywords in sends:
                    stream.send(event, **keywords)
            except Exception as failure:  # noqa: BLE001 - raised below
                failures.append(failure)
            finally:
                stream.finish()

        feeding = threading.Thread(target=feed)
        feeding.start()
        try:
            answers = list(stream)
        finally:
            feeding.join()
        if failures:
            raise failures[0]
        return answers, stream.reconnects


def run_async(
    addresses: Any,
    sends: Iterable[tuple[Any, dict[str, Any]]],
    options: StreamOptions | None = None,
    deliver: DeliveryOptions | bool = False,
    **client_options: Any,
) -> tuple[list[Answer], int]:
    """Do the same with the asynchronous client, in an event loop of its own."""

    async def main() -> tuple[list[Answer], int]:
        async with (
            AsyncClient(addresses, **client_options) as client,
            client.stream(CONFIG, options, deliver=deliver) as stream,
        ):

            async def feed() -> None:
                try:
                    for event, keywords in sends:
                        await stream.send(event, **keywords)
                finally:
                    stream.finish()

            feeding = asyncio.create_task(feed())
            try:
                answers = [answer async for answer in stream]
            finally:
                (failure,) = await asyncio.gather(feeding, return_exceptions=True)
            if isinstance(failure, BaseException):
                raise failure
            return answers, stream.reconnects

    return run_in_background(main())


async def close(client: Client | AsyncClient) -> None:
    """Close a client of either kind."""
    if isinstance(client, AsyncClient):
        await client.close()
    else:
        client.close()


def plain(events: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield events without keywords."""
    return ((event, {}) for event in events)
