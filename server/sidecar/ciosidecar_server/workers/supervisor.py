"""The parent of several workers: its life from the first start to the end of the last worker."""

import asyncio
import signal
from collections.abc import Callable

from ..settings import Settings
from ..telemetry.logging import get_logger
from .admin import GroupAdmin
from .group import Worker, WorkerGroup

_log = get_logger("ciosidecar")


class Interrupted(Exception):
    """Ctrl-C came before all workers were ready."""


class NotDrained(Exception):
    """A worker did not end within the grace and had to be killed."""


async def supervise(settings: Settings, ready: Callable[[list[Worker], str | None], None]) -> None:
    """Run the workers until SIGTERM or Ctrl-C. A second signal ends them at once. SIGHUP is forwarded.

    Args:
        settings: The settings for all workers together.
        ready: Called once all workers are ready, with them and the address of the admin port, or None if there is none.
            An exception in it ends the workers.

    Raises:
        CannotListen: The addresses of the workers cannot be told apart, or the admin port cannot be used.
        WorkerFailed: A worker ended before it was ever ready.
        Interrupted: Ctrl-C came before all workers were ready.
        NotDrained: A worker had to be killed.
    """
    group = WorkerGroup(settings)
    admin = GroupAdmin(settings.admin_listen, group)
    address = await admin.start()
    try:
        await _supervise(settings, group, lambda workers: ready(workers, address))
    finally:
        await admin.aclose()


async def _supervise(
    settings: Settings, group: WorkerGroup, ready: Callable[[list[Worker]], None]
) -> None:
    stops, reloads = _signals()
    starting = asyncio.create_task(group.start())
    stop = asyncio.create_task(stops.get())
    try:
        await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await _give_up_start(group, starting)
            if stop.result() == signal.SIGINT:
                raise Interrupted
            return
        await starting
        _log_shares(group, settings)
        ready(group.workers)
        reloading = asyncio.create_task(_reload(group, reloads))
        await stop
        reloading.cancel()
    except BaseException:
        stop.cancel()
        await group.end_at_once()
        raise
    if not await _drain(group, stops):
        raise NotDrained


def _signals() -> tuple[asyncio.Queue[signal.Signals], asyncio.Queue[None]]:
    stops, reloads = asyncio.Queue[signal.Signals](), asyncio.Queue[None]()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stops.put_nowait, number)
    loop.add_signal_handler(signal.SIGHUP, reloads.put_nowait, None)
    return stops, reloads


async def _give_up_start(group: WorkerGroup, starting: asyncio.Task[None]) -> None:
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await group.end_at_once()


async def _reload(group: WorkerGroup, reloads: asyncio.Queue[None]) -> None:
    while True:
        await reloads.get()
        await group.reload()


async def _drain(group: WorkerGroup, stops: asyncio.Queue[signal.Signals]) -> bool:
    """Drain all workers; end them at once if another signal comes. Return False if one hung."""
    draining = asyncio.create_task(group.drain())
    second_signal = asyncio.create_task(stops.get())
    await asyncio.wait((draining, second_signal), return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        await group.end_at_once()
        await draining
        return True
    second_signal.cancel()
    return await draining


def _log_shares(group: WorkerGroup, settings: Settings) -> None:
    share = group.share
    _log.info(
        "all workers are ready",
        workers=settings.workers,
        delivery_rate=settings.delivery_rate,
        delivery_rate_of_each=share.delivery_rate,
        delivery_concurrency_of_each=share.delivery_concurrency,
        max_connections_of_each=share.max_connections,
    )
