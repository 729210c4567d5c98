"""Three sidecars that deliver into one sandbox, for a load balancer to stand in front of."""

import contextlib
import json
import re
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import httpx

from tests.ports import free_port
from tests.processes import Server, server
from tests.sandbox.support import sandbox_process

_IDENTITY = re.compile(r'"caller": ?"(\w+)", ?"person": ?(\d+), ?"index": ?(\d+)')
CONFIG = json.dumps({"siteID": "site", "apiKey": "key"})


class Sidecar:
    """A sidecar that can be ended and started again at its address."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = flags
        self._running: contextlib.AbstractContextManager[Server] | None = None
        self.address = f"127.0.0.1:{free_port()}"

    @property
    def port(self) -> int:
        """Return the port."""
        return int(self.address.rpartition(":")[2])

    @property
    def process_id(self) -> int:
        """Return the id of the running process."""
        return self._server.process.pid

    def start(self) -> None:
        """Start it."""
        self._running = server("--listen", self.address, *self._flags)
        self._server = self._running.__enter__()
        assert self._server.addresses == [self.address]

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._server.signal(number)

    def end(self, number: signal.Signals) -> None:
        """End it with a signal, and wait until it is gone."""
        self._server.signal(number)
        self._server.end()
        self.stop()

    def stop(self) -> None:
        """End it in any case."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None


@dataclass(frozen=True)
class Arrival:
    """A request for one event, as it reached the sandbox."""

    caller: str
    person: int
    index: int
    repeat: bool
    """The sandbox knew the event's id."""


class Fleet:
    """Sidecars and their sandbox."""

    def __init__(self, customerio_url: str, sidecars: Sequence[Sidecar]) -> None:
        self._url = customerio_url
        self.sidecars = sidecars

    @classmethod
    @contextlib.contextmanager
    def running(cls, *flags: str, sandbox: Sequence[str] = ()) -> Iterator[Self]:
        """Run three sidecars with the flags, and a sandbox with its own."""
        with contextlib.ExitStack() as stack:
            customerio = stack.enter_context(sandbox_process(*sandbox))
            more = ("--customerio-url", customerio.url, "--log-level", "error", *flags)
            sidecars = [Sidecar(more) for _ in range(3)]
            for sidecar in sidecars:
                stack.callback(sidecar.stop)
            with ThreadPoolExecutor() as pool:
                list(pool.map(Sidecar.start, sidecars))
            yield cls(customerio.url, sidecars)

    def arrivals(self) -> list[Arrival]:
        """Return what arrived in the sandbox, oldest first, repeats included."""
        found: list[Arrival] = []
        with httpx.Client(base_url=self._url, timeout=30) as client:
            query: dict[str, Any] = {"limit": 1000, "call": "event"}
            while True:
                page = client.get("/sandbox/requests", params=query).raise_for_status().json()
                found += map(_arrival, page["requests"])
                if page["next_before"] is None:
                    return found[::-1]
                query["before"] = page["next_before"]


def _arrival(row: dict[str, Any]) -> Arrival:
    # The log has the first 1,000 bytes of a body.
    caller, person, index = _IDENTITY.search(row["body"]).groups()  # type: ignore[union-attr]
    return Arrival(caller, int(person), int(index), row["outcome"] == "dropped")


def event(caller: str, index: int, people: int, padding: int = 0) -> bytes:
    """Return an event of one of the caller's people. padding: bytes to make it larger by."""
    person = index % people
    properties: dict[str, Any] = {"caller": caller, "person": person, "index": index}
    if padding:
        properties["padding"] = "x" * padding
    return json.dumps(
        {
            "type": "track",
            "event": "Order",
            "userId": f"{caller}-{person}",
            "messageId": f"{caller}-{index}",
            "originalTimestamp": "2026-03-04T05:06:07.890Z",
            "properties": properties,
        }
    ).encode()


def now() -> float:
    """Return the time of all measurements."""
    return time.monotonic()
