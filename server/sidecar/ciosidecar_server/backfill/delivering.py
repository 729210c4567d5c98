"""The third pass with delivery: the events of a partition go through a sidecar, in order.

A stream sends until an event fails retryably. Then it sends nothing more until all events that are on their way are
answered, and sends the failed ones again, in their order, before newer events. So the order of each person holds.
Answers are recorded as they come, so that a later start knows of all of them.
"""

import random
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
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
from .delivery_window import MAX_EVENTS, DeliveryWindow
from .errors import BackfillFailed
from .events import LineReader
from .interruption import StopRequest, StopWatch
from .spills import SpilledEvent, read_partition
from .tasks import PartitionResult, PartitionTask

_STREAM = StreamOptions(
    client_name="ciosidecar backfill", unordered=True, max_outstanding_events=MAX_EVENTS
)
_FIRST_DELAY_S, _MAX_DELAY_S = 0.1, 60.0
_WRITE_EVERY_S = 0.02
_WRITE_EVERY_EVENTS = 100
# A state with thousands of positions takes milliseconds: at most a tenth of the time goes there.
_WRITE_SHARE = 10
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
    """Limit of the times that an event with retryable failures is sent. Answers to unsent events do not count,
    unless no event of their round was delivered. BLOCKED never counts."""

    def __call__(self, task: PartitionTask) -> PartitionResult | None:
        """Deliver what an earlier start did not. Return None if Ctrl-C ended the delivery before its end.

        Raises:
            BackfillFailed: No sidecar can be used, or Customer.io does not accept the credentials.
        """
        began = time.monotonic()
        with (
            DeliveryProgress(task.job.directory, task.number) as progress,
            self.sidecars.client() as client,
        ):
            if not _Delivery(self, task, progress).run(client):
                return None
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
    """The event of the row, or the reason why the row cannot be read."""
    tries: int = 0
    """Failures that count for `max_tries`."""
    resends: int = 0
    """Failures of its own, also before it was sent: no BLOCKED."""
    attempts: int = 0
    """Requests to Customer.io so far."""


@dataclass(slots=True)
class _Round:
    """The events of one stream that decide about tries and the window."""

    delivered: int = 0
    """Events with a final answer that is no failure, or a permanent one."""
    unsent: list[tuple[_Item, Result, EventError]] = field(default_factory=list)
    """Events that failed retryably before they were sent. BLOCKED ones are not among them."""


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
        self._unreadable: deque[_Item] = deque()
        """Rows that cannot be read, whose turn has come."""
        self._answered = {
            number for first, end in self._state.answered for number in range(first, end)
        }
        """Events from `state.next` on that have an answer, also those that must be sent again."""
        self._answered_before = frozenset(self._answered)
        self._window = DeliveryWindow()
        self._stream: Stream | None = None
        self._exhausted = False
        self._held: _Item | None = None
        """An event of the source that was not sent, because its round was to end."""
        self._end_number = 0
        """The number after that of the last event of the source so far."""
        self._retry_after_s = 0.0
        self._destinations: dict[bytes, Destination] = {}
        self._written_at = time.monotonic()
        self._write_took_s = 0.0
        self._unwritten = 0
        self._settling = False
        """True while the state is being changed: Ctrl-C then ends this process without writing it."""

    def run(self, client: Client) -> bool:
        """Deliver all events. Return False if Ctrl-C ended that early."""
        watch = StopWatch(
            StopRequest(self._task.job.directory),
            wait_s=self._options.timeout_s,
            stop=self._window.stop,
            give_up=self._give_up_answers,
        )
        with watch:
            self._skip_answered()
            delay_s = _FIRST_DELAY_S
            while (self._open or not self._exhausted) and not watch.is_requested:
                before = self._state.events
                self._round(client, watch)
                if self._open:
                    if self._state.events > before:
                        delay_s = _FIRST_DELAY_S
                    pause_s = random.uniform(delay_s / 2, delay_s)  # noqa: S311 - no secret
                    watch.sleep(max(pause_s, self._retry_after_s))
                    delay_s = min(delay_s * 2, _MAX_DELAY_S)
        return self._exhausted and not self._open and self._state.next == self._end_number

    def _give_up_answers(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.cancel()

    def _skip_answered(self) -> None:
        opened = frozenset(self._state.open)
        for _ in range(self._state.next):
            item = next(self._source)
            if item.number in opened:
                self._open[item.number] = item
        self._end_number = self._state.next

    def _round(self, client: Client, watch: StopWatch) -> None:
        """Send until the events end or one fails, and take all answers."""
        options = DeliveryOptions(
            timeout_s=self._options.timeout_s, detail_level=DetailLevel.NOTABLE
        )
        retries = [self._open[number] for number in sorted(self._open)]
        self._retry_after_s = 0.0
        self._window.begin()
        try:
            with client.stream(options=_STREAM, deliver=options) as stream:
                self._stream = stream
                round_ = _Round()
                feeding = _Feeding(self, stream, retries, self._window)
                feeding.start()
                try:
                    for answer in stream:
                        self._take_unreadable()
                        self._settle(answer.attachment, answer.result, round_)
                    feeding.join()
                finally:
                    self._window.stop()
                    if not feeding.is_done:
                        stream.cancel()
                        feeding.join()
                if feeding.fault is not None:
                    raise feeding.fault
                self._finish_round(round_)
        except SidecarError as problem:
            if not watch.is_requested:
                raise BackfillFailed(
                    f"no answer from a sidecar: {problem}; run the same command again to go on"
                ) from None
        finally:
            self._stream = None
            if not self._settling:
                self._take_unreadable()
                self._write()

    def _finish_round(self, round_: _Round) -> None:
        """Count a try of events that were not sent, if no other event of the round was delivered."""
        if not round_.unsent:
            return
        self._window.shrink()
        if round_.delivered:
            return
        for item, result, error in round_.unsent:
            item.tries += 1
            if item.tries >= self._options.max_tries:
                self._settling = True
                self._end(item, result, error)
                self._settling = False

    def next_item(self) -> _Item | None:
        """Return the next event of the partition, or None at its end."""
        item, self._held = self._held, None
        if item is None:
            item = self._next_of_source()
            self._exhausted = item is None
        return item

    def hold(self, item: _Item) -> None:
        """Take back an event that was not sent. It is the next one again."""
        self._held = item

    def _next_of_source(self) -> _Item | None:
        for item in self._source:
            self._end_number = item.number + 1
            if item.number not in self._answered_before:
                return item
        return None

    def send(self, stream: Stream, item: _Item) -> bool:
        """Send an event, or put a row that cannot be read aside. Return False if no more shall be sent."""
        line = item.line
        if isinstance(line, Outcome):
            self._unreadable.append(item)
            return True
        if not self._window.enter():
            return False
        fields: dict[str, Any] = {"attempt": item.resends} if item.resends else {}
        stream.send(
            line.event,
            item,
            destination=self._destination(line.config),
            connection=SourceConnection(line.connection) if line.connection else None,
            **fields,
        )
        return True

    def _destination(self, config: bytes) -> Destination:
        destination = self._destinations.get(config)
        if destination is None:
            if len(self._destinations) >= _MAX_KNOWN_DESTINATIONS:
                self._destinations.clear()
            destination = self._destinations[config] = Destination(config)
        return destination

    def _take_unreadable(self) -> None:
        """Settle the rows that cannot be read."""
        while self._unreadable:
            self._settling = True
            item = self._unreadable.popleft()
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

    def _settle(self, item: _Item, result: Result, round_: _Round) -> None:
        """Note what became of an event. If that ends the run, the event stays without an answer."""
        error, report = result.error, result.delivery
        self._check_credentials(error)
        self._settling = True
        attempts = 0 if report is None else report.attempts
        item.attempts += attempts
        is_final = error is None or not error.retryable or self._is_given_up(item, error, attempts)
        if is_final:
            round_.delivered += error is None or not error.retryable
            self._end(item, result, error)
        elif error is not None:
            self._open[item.number] = item
            self._retry_after_s = max(self._retry_after_s, error.retry_after_s or 0.0)
            if error.code != "BLOCKED":
                item.resends += 1
                if not attempts:
                    round_.unsent.append((item, result, error))
            self._window.stop()
        self._window.leave(is_final=is_final)
        self._advance(item)
        self._unwritten += 1
        now = time.monotonic()
        waited_s = now - self._written_at
        if (
            self._unwritten >= _WRITE_EVERY_EVENTS or waited_s >= _WRITE_EVERY_S
        ) and waited_s >= self._write_took_s * _WRITE_SHARE:
            self._write()

    def _end(self, item: _Item, result: Result, error: EventError | None) -> None:
        """Note the final answer of an event."""
        name = error.code if error else result.filter_reason or "delivered"
        self._finish(item, f"{result.status} {name}")
        self._progress.warnings.update({warning.code for warning in result.warnings})
        if error is not None:
            kind = "failed" if error.retryable else "refused"
            self._state.failed += error.retryable
            self._state.refused += not error.retryable
            self._keep(kind, item, _failure(item, result, error))

    def _check_credentials(self, error: EventError | None) -> None:
        """End the run if no event can be delivered: trying all of them would make all of them fail."""
        if error is None or self._task.job.config is None:
            return
        if error.code == "CREDENTIALS_REFUSED":
            raise BackfillFailed(
                "Customer.io does not accept the credentials of the destination: once it does, run the same"
                " command again to go on"
            )

    def _is_given_up(self, item: _Item, error: EventError, attempts: int) -> bool:
        if attempts and error.code != "BLOCKED":
            item.tries += 1
        return item.tries >= self._options.max_tries

    def _advance(self, item: _Item) -> None:
        state, answered = self._state, self._answered
        if item.number >= state.next:
            answered.add(item.number)
        while state.next in answered:
            answered.remove(state.next)
            state.next += 1
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
        began = time.monotonic()
        self._progress.write(self._open, self._answered)
        self._written_at, self._unwritten = time.monotonic(), 0
        self._write_took_s = self._written_at - began


class _Feeding(threading.Thread):
    """The thread that sends. Sending waits while too many events are outstanding."""

    def __init__(
        self, delivery: _Delivery, stream: Stream, retries: list[_Item], window: DeliveryWindow
    ) -> None:
        super().__init__(name="ciosidecar-backfill", daemon=True)
        self._delivery = delivery
        self._stream = stream
        self._retries = retries
        self._window = window
        self.is_done = False
        self.fault: BaseException | None = None

    def run(self) -> None:
        """Send all that must be sent again, and then newer events until it shall stop."""
        try:
            if all(self._delivery.send(self._stream, item) for item in self._retries):
                self._send_new()
        except BaseException as fault:  # noqa: BLE001 - raised by the thread that takes the answers
            self.fault = fault
        finally:
            # Also after a fault, so that the answers end.
            with suppress(SidecarError):
                self._stream.finish()
            self.is_done = True

    def _send_new(self) -> None:
        delivery = self._delivery
        while not self._window.is_stopped and (item := delivery.next_item()) is not None:
            if not delivery.send(self._stream, item):
                delivery.hold(item)
                return


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
