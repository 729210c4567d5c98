"""Callers that send events in rounds, send again what may be sent again, and keep books of it."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ciosidecar import (
    ApiRequest,
    BatchEntry,
    CallFailed,
    Client,
    DeliveryOptions,
    Result,
    StreamOptions,
    Tls,
    Unavailable,
)

from tests.chaos.books import Sent, Told
from tests.chaos.events import Plan, Planned, encoded

MAX_ROUND_EVENTS = 60
TIMEOUTS_S = (0.3, 0.5, 1.0, 3.0, 10.0)
"""Time limits of deliveries. The short ones let events fail that would be delivered later."""
LAST_ROUNDS_S = 120.0
"""Time in which every event must have its last result, once there are no more faults."""
_UNKNOWN = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
"""Codes of calls after which it is unknown what was delivered: send it again."""


@dataclass(slots=True)
class _Pending:
    planned: Planned
    destination: dict[str, str]
    book: Sent
    event: bytes | ApiRequest
    tries: int = 0
    stream: Any = None
    """The stream on which the event failed last: only that one knows of the failure."""


@dataclass(slots=True)
class Caller:
    """One caller: a thread with a client, a plan and a book."""

    plan: Plan
    how: str
    """stream, calls or prepared."""
    address: str
    tls: Tls
    dice: random.Random
    stop: threading.Event
    events_a_second: float
    book: list[Sent] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    """The results, by code, or by status where there is no code."""
    lost: int = 0
    """The number of times that the sending of an event ended without a result."""
    reconnects: int = 0
    give_up: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> int:
        """Return how often the sending of an event has ended, with a result or without one."""
        return self.results.total() + self.lost

    def run(self) -> None:
        """Send events until told to stop, and after that until every event has its last result."""
        try:
            with Client(self.address, tls=self.tls) as client:
                if self.how == "calls":
                    self._run_calls(client)
                else:
                    self._run_streams(client)
        except Exception as problem:  # noqa: BLE001 - every problem is the run's
            self.problems.append(f"{self.plan.stream}: {type(problem).__name__}: {problem}")

    def _run_streams(self, client: Client) -> None:
        pending: list[_Pending] = []
        while pending or not self.stop.is_set():
            options = StreamOptions(
                client_name=f"chaos-{self.plan.stream}",
                max_batch_events=self.dice.choice((1, 5, 20, 200)),
                # On a busy machine, a sidecar may take 20 s to start, and be killed again.
                reconnect_for_s=300,
                # In order, a result is read only after those before it: the book's times would be late.
                unordered=True,
            )
            delivery = DeliveryOptions(timeout_s=self.dice.choice(TIMEOUTS_S))
            with_attempt = self.dice.random() < 0.5
            with client.stream(options=options, deliver=delivery) as stream:
                answers = iter(stream)
                for _ in range(self.dice.choice((1, 3, 20))):
                    pending = self._next_round(client, pending)
                    if not pending:
                        break
                    pending = self._stream_round(
                        stream, answers, pending, with_attempt=with_attempt
                    )
                if not self.problems:
                    stream.finish()
                    self.problems += [
                        f"{self.plan.stream}: an answer too many: {extra}" for extra in answers
                    ]
                self.reconnects += stream.reconnects
            if self.give_up.is_set():
                return

    def _stream_round(
        self, stream: Any, answers: Iterator[Any], pending: list[_Pending], *, with_attempt: bool
    ) -> list[_Pending]:
        # Sent slowly, later events of a person arrive after an earlier one has failed again.
        pause_s = self.dice.choice((0.0, 0.02, 0.05))
        for entry in pending:
            is_known = with_attempt and entry.stream is stream
            fields = {"attempt": len(entry.book.sent)} if is_known else {}
            entry.stream = stream
            if pause_s:
                time.sleep(pause_s)
            entry.book.sent.append(time.time())
            prepared = isinstance(entry.event, ApiRequest)
            stream.send(
                entry.event,
                entry,
                destination=None if prepared else entry.destination,
                connection=None if prepared else entry.planned.connection,
                **fields,
            )
        failed: set[str] = set()
        waiting = {entry.book.mark for entry in pending}
        while waiting:
            answer = next(answers)
            entry = answer.attachment
            if entry.book.mark not in waiting:
                self.problems.append(f"{entry.book.mark} was answered, and was not due")
            waiting.discard(entry.book.mark)
            if self._note(entry, answer.result):
                failed.add(entry.book.mark)
        return [entry for entry in pending if entry.book.mark in failed]

    def _run_calls(self, client: Client) -> None:
        pending: list[_Pending] = []
        while True:
            pending = self._next_round(client, pending)
            if not pending or self.give_up.is_set():
                return
            entries = []
            for entry in pending:
                entry.book.sent.append(time.time())
                entries.append(
                    BatchEntry(
                        event=entry.event,
                        destination=entry.destination,
                        connection=entry.planned.connection,
                        fields={"attempt": entry.tries},
                    )
                )
            options = DeliveryOptions(timeout_s=self.dice.choice(TIMEOUTS_S))
            results: list[Result] | None = None
            try:
                results = client.deliver(entries, options=options, timeout_s=20)
            except (Unavailable, CallFailed) as failure:
                self._judge(failure)
            if results is not None and len(results) != len(pending):
                self.problems.append(f"{len(results)} results of {len(pending)} events")
            pending = [
                entry
                for index, entry in enumerate(pending)
                if self._note(entry, results[index] if results else None)
            ]

    def _judge(self, failure: Unavailable | CallFailed) -> None:
        """Raise a failure that does not come from a lost connection or a deadline."""
        if isinstance(failure, CallFailed) and failure.code.name not in (*_UNKNOWN, "CANCELLED"):
            raise failure

    def _note(self, entry: _Pending, result: Result | None) -> bool:
        """Write a result into the book. Return True if the event must be sent again."""
        error = result.error if result is not None else None
        told = Told(time.time(), 0, "UNAVAILABLE", retryable=True)
        if result is not None:
            code, retryable = (error.code, error.retryable) if error is not None else ("", False)
            attempts = result.delivery.attempts if result.delivery is not None else 0
            told = Told(time.time(), result.status, code, retryable, attempts)
        entry.book.told.append(told)
        if result is None:
            self.lost += 1
        else:
            self.results[told.code or str(told.status)] += 1
        if told.retryable and told.code != "BLOCKED":
            entry.tries += 1
        return told.retryable

    def _next_round(self, client: Client, failed: list[_Pending]) -> list[_Pending]:
        """Return the failed events, in their order, and new ones after them."""
        new = self.dice.randint(1, MAX_ROUND_EVENTS)
        self.stop.wait(new / self.events_a_second)
        if self.stop.is_set():
            new = 0
            if failed:
                self.give_up.wait(0.2)
        return failed + [self._new(client) for _ in range(max(0, new - len(failed)))]

    def _new(self, client: Client) -> _Pending:
        planned, destination = self.plan.next()
        book = Sent(planned.mark, self.plan.stream, planned.keys, planned.bad)
        event: bytes | ApiRequest = encoded(planned.event)
        if self.how == "prepared":
            event = self._prepared(client, planned, destination)
        self.book.append(book)
        return _Pending(planned, destination, book, event)

    def _prepared(
        self, client: Client, planned: Planned, destination: dict[str, str]
    ) -> ApiRequest:
        while not self.give_up.is_set():
            try:
                (result,) = client.transform([encoded(planned.event)], destination, timeout_s=10)
            except (Unavailable, CallFailed) as failure:
                self._judge(failure)
            else:
                (request,) = result.requests
                return request
        raise TimeoutError("no transform until the end")


def start(callers: list[Caller]) -> list[threading.Thread]:
    """Start every caller in a thread of its own."""
    threads = [
        threading.Thread(target=caller.run, name=caller.plan.stream, daemon=True)
        for caller in callers
    ]
    for thread in threads:
        thread.start()
    return threads
