"""The third pass with delivery: the events of a partition go through a sidecar, in order.

A stream sends until an event fails retryably. Then it sends nothing more until all events that are on their way are
answered, and sends the failed ones again, in their order, before newer events. So the order of each person holds.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ciosidecar import (
    Client,
    DeliveryOptions,
    Destination,
    DetailLevel,
    EventError,
    Result,
    SidecarError,
    SourceConnection,
    Stream,
    StreamOptions,
    Tls,
)
from ciosidecar_transform import Outcome

from ..jsonl.failures import failed_line
from ..jsonl.reading import Line
from .delivery_progress import DeliveryProgress
from .errors import BackfillFailed
from .events import LineReader
from .spills import SpilledEvent, read_partition
from .tasks import PartitionResult, PartitionTask

_STREAM = StreamOptions(client_name="ciosidecar backfill")
_FIRST_DELAY_S, _MAX_DELAY_S = 0.1, 60.0
_WRITE_EVERY_S = 0.02
_WRITE_EVERY_EVENTS = 100
_MAX_KNOWN_DESTINATIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecars:
    """The sidecars to deliver through."""

    addresses: tuple[str, ...]
    tls: Tls | None = None
    token_file: str | None = None
    """A file with the bearer token. Every worker MUST reach it under this path."""
    insecure: bool = False

    def client(self) -> Client:
        """Return a client. Each stream is on one of the addresses, in rotation."""
        return Client(
            self.addresses, tls=self.tls, token_file=self.token_file, insecure=self.insecure
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverPartition:
    """The function that delivers a partition."""

    sidecars: Sidecars
    timeout_s: float | None = None
    """As `DeliveryOptions.timeout_s`."""
    max_tries: int = 20
    """How often an event with retryable failures is sent. BLOCKED does not count."""

    def __call__(self, task: PartitionTask) -> PartitionResult:
        """Deliver what an earlier start did not.

        Raises:
            BackfillFailed: No sidecar can be used, or Customer.io does not accept the credentials.
        """
        began = time.monotonic()
        with (
            DeliveryProgress(task.job.directory, task.number) as progress,
            self.sidecars.client() as client,
        ):
            _Delivery(self, task, progress).run(client)
            files = progress.finish()
            state = progress.state
            return PartitionResult(
                task.number,
                events=state.events,
                outcomes=dict(progress.outcomes),
                warnings=dict(progress.warnings),
                refused=state.refused,
                failed=state.failed,
                files=files,
                seconds=time.monotonic() - began,
            )


@dataclass(slots=True)
class _Item:
    """An event of the partition."""

    number: int
    event: SpilledEvent
    line: Line | Outcome
    """What was read from the row, or why it cannot be read."""
    tries: int = 0
    attempts: int = 0
    """Requests to Customer.io so far."""


class _Delivery:
    """The delivery of one partition."""

    def __init__(
        self, options: DeliverPartition, task: PartitionTask, progress: DeliveryProgress
    ) -> None:
        self._options = options
        self._task = task
        self._progress = progress
        self._state = progress.state
        reader = LineReader(task.job)
        self._source = (
            _Item(number, event, reader.parse(event.line, event.problem))
            for number, event in enumerate(read_partition(task))
        )
        self._open: dict[int, _Item] = {}
        """Events before `state.next` that must be sent again."""
        self._sent: deque[_Item] = deque()
        """Events on the stream without an answer, with unreadable rows among them."""
        self._exhausted = False
        self._retry_after_s = 0.0
        self._destinations: dict[bytes, Destination] = {}
        self._written_at = time.monotonic()
        self._unwritten = 0
        self._settling = False
        """Whether the state is being changed. It is not written then, if Ctrl-C ends this process."""

    def run(self, client: Client) -> None:
        """Deliver all events."""
        self._skip_answered()
        delay_s = _FIRST_DELAY_S
        while self._open or not self._exhausted:
            before = self._state.events
            self._round(client)
            if self._open:
                if self._state.events > before:
                    delay_s = _FIRST_DELAY_S
                pause_s = random.uniform(delay_s / 2, delay_s)  # noqa: S311 - no secret
                time.sleep(max(pause_s, self._retry_after_s))
                delay_s = min(delay_s * 2, _MAX_DELAY_S)

    def _skip_answered(self) -> None:
        opened = frozenset(self._state.open)
        for _ in range(self._state.next):
            item = next(self._source)
            if item.number in opened:
                self._open[item.number] = item

    def _round(self, client: Client) -> None:
        """Send until the events end or one fails, and take all answers."""
        options = DeliveryOptions(
            timeout_s=self._options.timeout_s, detail_level=DetailLevel.NOTABLE
        )
        retries = [self._open[number] for number in sorted(self._open)]
        self._retry_after_s = 0.0
        stopping = threading.Event()
        try:
            with client.stream(options=_STREAM, deliver=options) as stream:
                feeding = _Feeding(self, stream, retries, stopping)
                feeding.start()
                try:
                    for answer in stream:
                        self._take_unreadable()
                        self._settle(answer.result, stopping)
                    feeding.join()
                finally:
                    stopping.set()
                    if not feeding.is_done:
                        stream.cancel()
                        feeding.join()
                if feeding.fault is not None:
                    raise feeding.fault
        except SidecarError as problem:
            raise BackfillFailed(
                f"no answer from a sidecar: {problem}; run the same command again to go on"
            ) from None
        finally:
            if not self._settling:
                self._take_unreadable()
                self._write()

    def next_item(self) -> _Item | None:
        """Return the next event of the partition, or None at its end."""
        item = next(self._source, None)
        self._exhausted = item is None
        return item

    def send(self, stream: Stream, item: _Item) -> None:
        """Send an event. A row that cannot be read takes its place among the answers."""
        self._sent.append(item)
        line = item.line
        if isinstance(line, Outcome):
            return
        fields: dict[str, Any] = {"attempt": item.tries} if item.tries else {}
        stream.send(
            line.event,
            item.number,
            destination=self._destination(line.config),
            connection=SourceConnection(line.connection) if line.connection else None,
            **fields,
        )

    def _destination(self, config: bytes) -> Destination:
        destination = self._destinations.get(config)
        if destination is None:
            if len(self._destinations) >= _MAX_KNOWN_DESTINATIONS:
                self._destinations.clear()
            destination = self._destinations[config] = Destination(config)
        return destination

    def _take_unreadable(self) -> None:
        """Settle the rows that cannot be read and are next."""
        while self._sent and isinstance(self._sent[0].line, Outcome):
            self._settling = True
            item = self._sent.popleft()
            error = item.line.error  # type: ignore[union-attr]
            assert error is not None  # noqa: S101 - only failures stand in place of a line
            failure = {
                "code": str(error.code),
                "message": error.text,
                "status": error.status,
                "retryable": error.retryable,
                "attempts": 0,
            }
            self._finish(item, f"{error.status} {error.code}")
            self._state.refused += 1
            self._keep("refused", item, failure)
            self._advance(item)

    def _settle(self, result: Result, stopping: threading.Event) -> None:
        """Note what became of the next event. If that ends the run, the event stays the next one."""
        item, error, report = self._sent[0], result.error, result.delivery
        self._check_credentials(error)
        self._settling = True
        self._sent.popleft()
        if report is not None:
            item.attempts += report.attempts
        if error is not None and error.retryable and not self._is_given_up(item, error):
            self._open[item.number] = item
            self._retry_after_s = max(self._retry_after_s, error.retry_after_s or 0.0)
            stopping.set()
        else:
            name = error.code if error else result.filter_reason or "delivered"
            self._finish(item, f"{result.status} {name}")
            self._progress.warnings.update({warning.code for warning in result.warnings})
            if error is not None:
                kind = "failed" if error.retryable else "refused"
                self._state.failed += error.retryable
                self._state.refused += not error.retryable
                self._keep(kind, item, _failure(item, result, error))
        self._advance(item)
        self._unwritten += 1
        now = time.monotonic()
        if self._unwritten >= _WRITE_EVERY_EVENTS or now - self._written_at >= _WRITE_EVERY_S:
            self._write()

    def _check_credentials(self, error: EventError | None) -> None:
        """End the run if no event can be delivered: trying all of them would make all of them fail."""
        if error is None or self._task.job.config is None:
            return
        if error.code == "CREDENTIALS_REFUSED":
            raise BackfillFailed(
                "Customer.io does not accept the credentials of the destination: once it does, run the same"
                " command again to go on"
            )

    def _is_given_up(self, item: _Item, error: EventError) -> bool:
        if error.code != "BLOCKED":
            item.tries += 1
        return item.tries >= self._options.max_tries

    def _advance(self, item: _Item) -> None:
        self._state.next = max(self._state.next, item.number + 1)
        self._settling = False

    def _finish(self, item: _Item, outcome: str) -> None:
        self._open.pop(item.number, None)
        self._state.events += 1
        self._progress.outcomes[outcome] += 1

    def _keep(self, kind: str, item: _Item, failure: dict[str, Any]) -> None:
        failure |= {"file": self._task.files[item.event.file], "line": item.event.row}
        line = item.line if isinstance(item.line, Line) else None
        has_config = self._task.job.config is None
        self._progress.add_line(
            kind, failed_line(item.event.line, line, failure, has_config=has_config)
        )

    def _write(self) -> None:
        self._progress.write(self._open)
        self._written_at, self._unwritten = time.monotonic(), 0


class _Feeding(threading.Thread):
    """The thread that sends. Sending waits while too many events are outstanding."""

    def __init__(
        self, delivery: _Delivery, stream: Stream, retries: list[_Item], stopping: threading.Event
    ) -> None:
        super().__init__(name="ciosidecar-backfill", daemon=True)
        self._delivery = delivery
        self._stream = stream
        self._retries = retries
        self._stopping = stopping
        self.is_done = False
        self.fault: BaseException | None = None

    def run(self) -> None:
        """Send all that must be sent again, and then newer events until it shall stop."""
        try:
            for item in chain(self._retries, self._new_items()):
                self._delivery.send(self._stream, item)
        except BaseException as fault:  # noqa: BLE001 - raised by the thread that takes the answers
            self.fault = fault
        finally:
            # Also after a fault, so that the answers end.
            with suppress(SidecarError):
                self._stream.finish()
            self.is_done = True

    def _new_items(self) -> Iterator[_Item]:
        while not self._stopping.is_set() and (item := self._delivery.next_item()) is not None:
            yield item


def _failure(item: _Item, result: Result, error: EventError) -> dict[str, Any]:
    failure: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "status": result.status,
        "retryable": error.retryable,
        "attempts": item.attempts,
    }
    if result.delivery is not None and result.delivery.http_status:
        failure |= {"http_status": result.delivery.http_status, "reason": result.delivery.reason}
    return failure
