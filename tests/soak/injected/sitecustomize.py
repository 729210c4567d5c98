"""A leak in a server under test: Python imports this module by its name, from PYTHONPATH, at its start.

LEAK names what leaks, separated by blanks: memory (LEAK_BYTES for each event), descriptor, task or thread (one for each
stream). The server itself knows nothing of this.
"""

import asyncio
import os
import threading
from typing import Any

from ciosidecar_server.rpc import session

_held: list[Any] = []


def _descriptor() -> Any:
    return os.open(os.devnull, os.O_RDONLY)


def _task() -> Any:
    return asyncio.get_running_loop().create_task(asyncio.Event().wait())


def _thread() -> Any:
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    return thread


def _leak_for_each_stream(leak: Any) -> None:
    run = session.Session.run

    async def leaking(self: session.Session) -> None:
        _held.append(leak())
        await run(self)

    session.Session.run = leaking  # type: ignore[method-assign]


def _leak_for_each_event(size: int) -> None:
    module: Any = session  # it imports the function by name
    process = module.process_batch

    async def leaking(batch: Any, *others: Any) -> None:
        _held.extend(bytearray(b"x" * size) for _ in range(batch.item_count))
        await process(batch, *others)

    module.process_batch = leaking


_BY_STREAM = {"descriptor": _descriptor, "task": _task, "thread": _thread}
for _leak in os.environ.get("LEAK", "").split():
    if _leak == "memory":
        _leak_for_each_event(int(os.environ["LEAK_BYTES"]))
    else:
        _leak_for_each_stream(_BY_STREAM[_leak])
