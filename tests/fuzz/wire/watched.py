"""A server under attack, and what must stay true: it lives, serves others, and gives back what it took."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import grpc
from ciosidecar import v1
from ciosidecar_sandbox.testing import running_sandbox

from tests.contract.test_bad_peers import memory_bytes, open_files
from tests.processes import Server, server

from .messages import call, good_message
from .peer import TRANSFORM, message

_CONFIG = b'{"siteID":"site","apiKey":"key"}'
# With times of their own: the server's clock would be in the requests otherwise.
_EVENTS = (
    b'{"type":"track","userId":"u1","event":"Order","timestamp":"2026-01-02T03:04:05Z"}',
    b'{"type":"identify","userId":"u1","traits":{"createdAt":1700000000},"timestamp":"2026-01-02T03:04:05Z"}',
    b'{"type":"nothing"}',
)
_STATUSES = [200, 200, 400]
_WITHIN_S = 30.0
_MAX_GROWTH_BYTES = 300_000_000
# Connections to the sandbox that are kept for the next request.
_KEPT_CONNECTIONS = 8


class Bystander:
    """A caller that does nothing wrong, with a stream of its own, in a thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._changed = threading.Condition()
        self._answers = 0
        self._fault: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bystander", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with grpc.insecure_channel(self._address) as channel:
                self._stream(v1.SidecarServiceStub(channel))
        except BaseException as fault:  # noqa: BLE001 - the test raises it again
            with self._changed:
                self._fault = fault
                self._changed.notify_all()

    def _stream(self, stub: Any) -> None:
        """Send a batch, wait for its results and compare them, until told to stop."""
        turn = threading.Semaphore(1)
        expected: list[v1.Results] = []

        def requests() -> Iterator[v1.TransformStreamRequest]:
            destination = v1.Destination(reference_id=1, config_json=_CONFIG)
            yield v1.TransformStreamRequest(open=v1.OpenStream(destinations=[destination]))
            items = [v1.BatchItem(json=event) for event in _EVENTS]
            while not self._stopping.is_set():
                turn.acquire()
                yield v1.TransformStreamRequest(
                    batch=v1.Batch(batch_id=1, destination=1, items=items)
                )
            yield v1.TransformStreamRequest(finish=v1.Finish())

        for response in stub.TransformStream(requests()):
            if response.WhichOneof("message") != "results":
                continue
            results = response.results
            assert list(results.statuses) == _STATUSES, results
            expected.append(results)
            assert results == expected[0], "the same batch had other results"
            del expected[1:]
            with self._changed:
                self._answers += 1
                self._changed.notify_all()
            turn.release()

    def is_served(self) -> None:
        """Wait until the caller has two more right answers: the second one was asked for meanwhile."""
        with self._changed:
            wanted = self._answers + 2
            arrived = self._changed.wait_for(
                lambda: self._answers >= wanted or self._fault is not None, _WITHIN_S
            )
            if self._fault is not None:
                raise AssertionError("a healthy caller's stream ended") from self._fault
            assert arrived, f"a healthy caller had no answer within {_WITHIN_S} s"

    def stop(self) -> None:
        """Finish the stream."""
        self._stopping.set()
        self._thread.join(_WITHIN_S)


class Watched:
    """The server, and the state of it before the first attack."""

    def __init__(self, running: Server, bystander: Bystander) -> None:
        self.address = running.addresses[0]
        self._running = running
        self.bystander = bystander
        bystander.is_served()
        self._files = open_files(running)
        self._memory_bytes = memory_bytes(running)

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Attack inside the block: others are served meanwhile and afterwards, and the server is as it was."""
        yield
        self.bystander.is_served()
        self._newcomers_are_served()
        assert self._running.process.poll() is None, "the server has ended"
        grown = memory_bytes(self._running) - self._memory_bytes
        assert grown < _MAX_GROWTH_BYTES, f"the server's memory grew by {grown} bytes"
        assert "Traceback" not in self._running.errors()
        self._until_freed()

    def _newcomers_are_served(self) -> None:
        """Calls on new connections are answered: some wait behind those of the attack."""
        good = message(good_message(TRANSFORM, Random(0)))
        statuses = [call(self.address, TRANSFORM, good).status for _ in range(10)]
        assert statuses == [0] * 10, statuses

    def _until_freed(self) -> None:
        """Wait until the connections of the attack have left no descriptor."""
        gc.collect()
        end = time.monotonic() + _WITHIN_S
        while (files := open_files(self._running)) > self._files + _KEPT_CONNECTIONS:
            assert time.monotonic() < end, f"{files} descriptors, {self._files} before the attack"
            time.sleep(0.02)


@contextmanager
def watched_server() -> Iterator[Watched]:
    """Run a server that delivers to a sandbox, with a healthy caller."""
    with (
        running_sandbox() as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running,
    ):
        bystander = Bystander(running.addresses[0])
        try:
            yield Watched(running, bystander)
        finally:
            bystander.stop()
