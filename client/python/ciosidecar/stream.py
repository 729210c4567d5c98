"""A stream for threads: events in one at a time, answers out in order."""

import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc

from ciosidecar import v1
from ciosidecar._connection import Deliver, Patience, StreamOptions, opening
from ciosidecar._ledger import Answer, Ledger
from ciosidecar.errors import SidecarError, call_failed, worth_another_try
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    Connection,
    Destination,
    Event,
    encode_event,
)


class _Status(NamedTuple):
    code: grpc.StatusCode
    details: str


class Stream:
    """Events in, one at a time; answers out, in order, each beside its sender's own object.

    Gathers events into messages, keeps within the credit, and, when the sidecar goes away, opens
    another stream and sends again what has no answer. Send from one thread and iterate in another,
    or use `map`, which does both. Made by `Client.stream`.
    """

    def __init__(
        self,
        stub: Any,
        destination: Destination | None,
        options: StreamOptions,
        deliver: Deliver | None,
    ) -> None:
        self._stub = stub
        self._deliver = deliver
        self._destination = destination
        self._options = options
        self._ledger = Ledger(
            max_batch_events=options.max_batch_events, max_batch_bytes=options.max_batch_bytes
        )
        self._finished = False
        self._closed = False
        self._failure: SidecarError | None = None
        # One lock for the ledger and all of the above; each condition is one reason to wait.
        self._lock = threading.Lock()
        self._to_send = threading.Condition(self._lock)
        self._answered = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._due_at: float | None = None
        self._connection = 0
        self._call: Any = None
        self._thread = threading.Thread(target=self._run, name="ciosidecar-stream", daemon=True)
        self.reconnects = 0
        """How often the stream had to be opened anew."""

    def __enter__(self) -> Self:
        """Starts to connect; events may be sent at once."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the stream. Answers not taken by now are lost: `finish` and iterate first."""
        with self._lock:
            self._closed = True
            call = self._call
            for condition in (self._to_send, self._answered, self._room):
                condition.notify_all()
        if call is not None:
            call.cancel()
        self._thread.join()

    def send(
        self,
        event: Event,
        item: Any = None,
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
        **fields: Any,
    ) -> None:
        """Takes an event; waits while too many are owed an answer.

        item: whatever should come back beside the result; the event itself if None.
        destination: where it goes, if not where the stream goes by default.
        connection: what the row becomes, where the event is a record.
        fields: of v1.Item: source_type, dont_batch, ordering_key, attempt, traceparent, tag.

        Raises SidecarError once the stream has failed.
        """
        ledger, options = self._ledger, self._options
        encoded = encode_event(event)
        target = self._destination if destination is None else Destination.of(destination)
        rows = None if connection is None else Connection.of(connection)
        if target is None and not isinstance(encoded, v1.PreparedRequest):
            raise ValueError("name a destination here or where the stream is made")
        with self._lock:
            if self._finished or self._closed:
                raise ValueError("the stream is finished")
            while ledger.owed >= options.max_owed_events or (
                ledger.owed_bytes >= options.max_owed_bytes and ledger.owed
            ):
                self._raise_failure()
                if not ledger.in_flight:
                    self._send_now()  # else room will come, and with it more to share a message
                self._room.wait()
            self._raise_failure()
            ledger.add(encoded, event if item is None else item, target, fields or None, rows)
            if self._due_at is None:
                self._due_at = time.monotonic() + options.linger_s
                self._to_send.notify()
            elif ledger.batch_is_full:
                self._to_send.notify()

    def finish(self) -> None:
        """Says that nothing more will be sent: iteration ends after the last answer."""
        with self._lock:
            self._finished = True
            self._send_now()
            self._answered.notify_all()

    def __iter__(self) -> Iterator[Answer]:
        """Answers as they come, in the order in which the events were sent."""
        while True:
            with self._lock:
                while (answer := next(self._ledger.take_answers(), None)) is None:
                    if self._finished and not self._ledger.owed:
                        return
                    self._raise_failure()
                    self._answered.wait()
                self._room.notify()
            yield answer

    def map(
        self,
        events: Iterable[Event],
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
    ) -> Iterator[Answer]:
        """Sends all events and yields all answers; then the stream is finished.

        The events are read in a thread of their own.
        """
        failures: list[Exception] = []

        def feed() -> None:
            try:
                for event in events:
                    self.send(event, destination=destination, connection=connection)
            except Exception as failure:  # noqa: BLE001 - raised where it can be seen
                failures.append(failure)
            finally:
                self.finish()

        feeding = threading.Thread(target=feed, name="ciosidecar-map", daemon=True)
        feeding.start()
        yield from self
        feeding.join()
        if failures:
            raise failures[0]

    def _send_now(self) -> None:
        """What waits goes at once; if nothing does, the next event still starts the clock."""
        if self._ledger.waiting:
            self._due_at = 0.0
        self._to_send.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise SidecarError("the stream was closed")

    def _run(self) -> None:
        """Keeps a connection until all is answered, or no hope is left."""
        failure: SidecarError | None = None
        try:
            self._keep_connected()
        except SidecarError as problem:
            failure = problem
        except Exception as fault:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            failure = SidecarError(f"internal error in the client: {fault!r}")
        with self._lock:
            self._failure = failure
            self._answered.notify_all()
            self._room.notify_all()

    def _keep_connected(self) -> None:
        patience = Patience(self._options.reconnect_for_s)
        while True:
            answered, began = self._ledger.answered, time.monotonic()
            failure = self._one_connection()
            reason = "the sidecar ended the stream"
            if failure is not None:
                reason = failure.details
                if not self._closed and not worth_another_try(failure.code):
                    raise call_failed(failure.code, reason)
            with self._lock:
                if self._closed or (self._finished and not self._ledger.unanswered):
                    return
                progress = self._ledger.answered > answered
                pause_s = patience.pause_s(time.monotonic() - began, reason, progress=progress)
                self._to_send.wait_for(lambda: self._closed, timeout=pause_s)
                self.reconnects += 1

    def _one_connection(self) -> "_Status | None":
        """One stream from open to end; the status it failed with, if it did."""
        with self._lock:
            self._connection += 1
            self._opened = self._draining = False
            call = self._call = self._stub.TransformStream(self._messages(self._connection))
        try:
            for response in call:
                self._take(response)
        except grpc.RpcError as failure:
            # The failure is the call itself, and its traceback would keep it, in a circle, until
            # the interpreter ends: there it may wait for ever for a lock of gRPC's dead threads.
            failure.with_traceback(None)
            return _Status(failure.code(), str(failure.details()))
        finally:
            call.cancel()
            with self._lock:
                self._call = None
                self._connection += 1
                self._to_send.notify_all()
        return None

    def _take(self, response: v1.TransformStreamResponse) -> None:
        kind = response.WhichOneof("message")
        with self._lock:
            if kind == "results":
                self._ledger.answer(response.results)
                self._answered.notify_all()
            elif kind == "opened":
                self._ledger.connect(response.opened.limits)
                self._opened = True
                self._send_now()
            elif kind == "drain":
                self._draining = True
                self._to_send.notify_all()

    def _messages(self, connection: int) -> Iterator[v1.TransformStreamRequest]:
        """What one connection sends; gRPC takes it in a thread of its own."""
        yield opening(self._options, self._deliver)
        while True:
            with self._lock:
                while not self._may_send(connection):
                    if self._is_over(connection):
                        break
                    self._to_send.wait(self._patience_s())
                if connection != self._connection or self._closed:
                    return
                messages = [] if self._is_over(connection) else self._ledger.take_messages()
                if not self._ledger.waiting:
                    self._due_at = None
            if not messages:
                break
            yield from messages
        yield v1.TransformStreamRequest(finish=v1.Finish())

    def _may_send(self, connection: int) -> bool:
        ledger = self._ledger
        return (
            connection == self._connection
            and self._opened
            and not self._draining
            and ledger.waiting
            and (
                ledger.batch_is_full
                or (self._due_at is not None and time.monotonic() >= self._due_at)
            )
        )

    def _is_over(self, connection: int) -> bool:
        """Whether this connection sends no more."""
        return (
            connection != self._connection
            or self._closed
            or self._draining
            or (self._opened and self._finished and not self._ledger.waiting)
        )

    def _patience_s(self) -> float | None:
        """Until when the oldest waiting event may linger; None if nothing waits, or nobody listens."""
        if not self._opened or self._due_at is None or not self._ledger.waiting:
            return None
        return max(0.0, self._due_at - time.monotonic())
