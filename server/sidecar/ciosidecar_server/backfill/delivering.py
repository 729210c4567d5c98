"""The third pass with delivery: the events of a partition go through a sidecar, in order.

A stream sends until an event fails retryably. Then it sends nothing more until all events that are on their way are
answered, and sends the failed ones again, in their order, before newer events. So the order of each person holds.
Answers are recorded as they come, so that a later start knows of all of them.
"""

import random
import time
from dataclasses import dataclass, field

from ciosidecar import (
    Client,
    DeliveryOptions,
    DetailLevel,
    EventError,
    Result,
    SidecarError,
    Stream,
    StreamOptions,
    Tls,
)

from .delivery_answers import DeliveryAnswers
from .delivery_feeding import Destinations, Feeding
from .delivery_items import DeliveryItem, DeliveryItems
from .delivery_progress import DeliveryProgress
from .delivery_window import MAX_EVENTS, DeliveryWindow
from .errors import BackfillFailed
from .interruption import StopRequest, StopWatch
from .tasks import PartitionResult, PartitionTask

_STREAM = StreamOptions(
    client_name="ciosidecar backfill", unordered=True, max_outstanding_events=MAX_EVENTS
)
_FIRST_DELAY_S, _MAX_DELAY_S = 0.1, 60.0


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
class _Round:
    """The events of one stream that decide about tries and the window."""

    delivered: int = 0
    """Events with a final answer that is no failure, or a permanent one."""
    unsent: list[tuple[DeliveryItem, Result]] = field(default_factory=list)
    """Events that failed retryably before they were sent. BLOCKED ones are not among them."""


class _Delivery:
    """The delivery of one partition, round after round: a round is a stream."""

    def __init__(
        self, options: DeliverPartition, task: PartitionTask, progress: DeliveryProgress
    ) -> None:
        self._options = options
        self._task = task
        self._answers = DeliveryAnswers(task, progress)
        self._items = DeliveryItems(task, self._answers.answered)
        self._destinations = Destinations()
        self._window = DeliveryWindow()
        self._stream: Stream | None = None
        self._retry_after_s = 0.0

    def run(self, client: Client) -> bool:
        """Deliver all events. Return False if Ctrl-C ended that early."""
        answers, items = self._answers, self._items
        watch = StopWatch(
            StopRequest(self._task.job.directory),
            wait_s=self._options.timeout_s,
            stop=self._window.stop,
            give_up=self._give_up_answers,
        )
        with watch:
            answers.resume(items)
            delay_s = _FIRST_DELAY_S
            while (answers.has_open or not items.is_exhausted) and not watch.is_requested:
                before = answers.final_count
                self._round(client, watch)
                if answers.has_open:
                    if answers.final_count > before:
                        delay_s = _FIRST_DELAY_S
                    pause_s = random.uniform(delay_s / 2, delay_s)  # noqa: S311 - no secret
                    watch.sleep(max(pause_s, self._retry_after_s))
                    delay_s = min(delay_s * 2, _MAX_DELAY_S)
        return (
            items.is_exhausted and not answers.has_open and answers.next_number == items.end_number
        )

    def _give_up_answers(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.cancel()

    def _round(self, client: Client, watch: StopWatch) -> None:
        """Send until the events end or one fails, and take all answers."""
        options = DeliveryOptions(
            timeout_s=self._options.timeout_s, detail_level=DetailLevel.NOTABLE
        )
        self._retry_after_s = 0.0
        self._window.begin()
        try:
            with client.stream(options=_STREAM, deliver=options) as stream:
                self._stream = stream
                round_ = _Round()
                feeding = Feeding(
                    stream, self._items, self._answers, self._window, self._destinations
                )
                feeding.start()
                try:
                    for answer in stream:
                        self._answers.finish_unreadable()
                        self._take(answer.attachment, answer.result, round_)
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
            self._answers.write()

    def _finish_round(self, round_: _Round) -> None:
        """Count a try of events that were not sent, if no other event of the round was delivered."""
        if not round_.unsent:
            return
        self._window.shrink()
        if round_.delivered:
            return
        for item, result in round_.unsent:
            item.tries += 1
            if item.tries >= self._options.max_tries:
                self._answers.finish(item, result)

    def _take(self, item: DeliveryItem, result: Result, round_: _Round) -> None:
        """Take the answer to an event. If that ends the run, the event stays without an answer."""
        error, report = result.error, result.delivery
        self._check_credentials(error)
        attempts = 0 if report is None else report.attempts
        item.attempts += attempts
        is_final = error is None or not error.retryable or self._is_given_up(item, error, attempts)
        if is_final:
            round_.delivered += error is None or not error.retryable
            self._answers.finish(item, result)
        elif error is not None:
            self._answers.reopen(item)
            self._retry_after_s = max(self._retry_after_s, error.retry_after_s or 0.0)
            if error.code != "BLOCKED":
                item.resends += 1
                if not attempts:
                    round_.unsent.append((item, result))
            self._window.stop()
        self._window.leave(is_final=is_final)
        self._answers.write_if_due()

    def _check_credentials(self, error: EventError | None) -> None:
        """End the run if no event can be delivered: trying all of them would make all of them fail."""
        if error is None or self._task.job.config is None:
            return
        if error.code == "CREDENTIALS_REFUSED":
            raise BackfillFailed(
                "Customer.io does not accept the credentials of the destination: once it does, run the same"
                " command again to go on"
            )

    def _is_given_up(self, item: DeliveryItem, error: EventError, attempts: int) -> bool:
        """Count a try of an event that was sent. Return whether it has had all its tries."""
        if attempts and error.code != "BLOCKED":
            item.tries += 1
        return item.tries >= self._options.max_tries
