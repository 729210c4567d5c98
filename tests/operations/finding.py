"""What an operator finds out about a server from outside: its log, its metrics, and `ciosidecar top`."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.processes import Server, run
from tests.telemetry.support import Line, Samples, log_of, metrics_of, named, value

WITHIN_S = 60


class Finding(NamedTuple):
    """What a server says of a cause, in three places."""

    top: dict[str, Any]
    """What `ciosidecar top --json` prints."""
    metrics: Samples
    log: list[Line]

    def destination(self, ref: str) -> dict[str, Any]:
        """Return the row of a destination in top."""
        (row,) = (row for row in self.top["destinations"] if row["destination_ref"] == ref)
        return dict(row)

    def line(self, message: str) -> Line:
        """Return the one line whose message begins with these words."""
        (line,) = named(self.log, message)
        return line

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a metric."""
        return value(self.metrics, name, **labels)


async def top(running: Server) -> dict[str, Any]:
    """Return what `ciosidecar top --json` prints."""
    arguments = ("top", "--json", "--admin", running.ready_line["admin"])
    done = await asyncio.to_thread(run, *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return dict(json.loads(done.stdout))


async def top_once(running: Server, reached: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the first state in top of which something holds."""
    async with asyncio.timeout(WITHIN_S):
        while not reached(state := await top(running)):
            pass
    return state


async def find(
    running: Server, reached: Callable[[dict[str, Any]], Any] = lambda state: state
) -> Finding:
    """Return what a server says once something holds, and end the server: then its log is complete."""
    state = await top_once(running, reached)
    metrics = await metrics_of(running)
    return Finding(state, metrics, await log_of(running))
