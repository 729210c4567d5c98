"""A stream for threads: events in one at a time, answers out in order."""

import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc

from ciosidecar import v1
from ciosidecar._connection import Deliver, ReconnectBackoff, StreamOptions, check_timeout, opening
from ciosidecar._outstanding import Answer, BatchGroup, OutstandingEvents
from ciosidecar.errors import (
    Closed,
    SidecarError,
    call_failed,
    client_fault,
    contract_broken,
    worth_another_try,
)
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    BatchEntry,
    Destination,
    Event,
    Outgoing,
    outgoing,
    outgoing_of,
)

NOT_ENTERED = (
    "the stream is not open: open it with `with client.stream(...) as stream:` before you use it"
)
ENTERED_TWICE = "a stream is opened once: ask the client for another one"


class _Status(NamedTuple):
    code: grpc.StatusCode
    details: str


class Stream:
    """Events in, one at a time; answers out, each beside its sender's own object.

    Gathers events into messages, keeps within the credit, and, when the sidecar goes away, opens
    another stream and sends again what has no answer. Send from one thread and iterate in another,
    or use `map`, which does both. Made by `Client.stream`, and open within its `with` block only:
    everything else raises RuntimeError.
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
        self._outstanding = OutstandingEvents(
            max_batch_events=options.max_batch_events,
            max_batch_bytes=options.max_batch_bytes,
            unordered=options.unordered,
        )
        self._entered = False
        self._finished = False
        self._closed = False
        # Why nothing more is sent, although what was sent is still answered.
        self._fault: SidecarError | None = None
        # Why no answer comes any more.
        self._failure: SidecarError | None = None
        # One lock for the outstanding events and all of the above; each condition is one reason to wait.
        self._lock = threading.Lock()
        self._to_send = threading.Condition(self._lock)
        self._answered = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._due_at: float | None = None
        self._connection = 0
        self._call: Any = None
        self._backoff: ReconnectBackoff  # its clock starts with the stream
        self._thread = threading.Thread(target=self._run, name="ciosidecar-stream", daemon=True)
        self.reconnects = 0
        """How often the stream had to be opened anew."""

    def __enter__(self) -> Self:
        """Starts to connect; events may be sent at once."""
        with self._lock:
            if self._entered:
                raise RuntimeError(ENTERED_TWICE)
            self._entered = True
        self._backoff = ReconnectBackoff(self._options)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the stream. Answers not taken by now are lost: `finish` and iterate first."""
        self.cancel()
        self._thread.join()

    @property
    def is_open(self) -> bool:
        """Whether the stream was entered, and not left or cancelled."""
        return self._entered and not self._closed

    def cancel(self) -> None:
        """End the stream at once, from any thread. Whoever sends or iterates gets Closed."""
        self._require_entered()
        with self._lock:
            self._closed = True
            call = self._call
            for condition in (self._to_send, self._answered, self._room):
                condition.notify_all()
        if call is not None:
            call.cancel()

    def send(
        self,
        event: Event,
        attachment: Any = None,
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
        **fields: Any,
    ) -> None:
        """Takes an event; waits while too many are owed an answer.

        attachment: whatever should come back beside the result; the event itself if None.
        destination: where it goes, if not where the stream goes by default.
        connection: what the row becomes, where the event is a record.
        fields: of v1.BatchItem: source_type, dont_batch, ordering_key, attempt, traceparent, tag.

        Raises TypeError or ValueError for what cannot travel, and after `finish`; SidecarError once
        the stream has failed.
        """
        self._require_entered()
        self._add([outgoing(event, attachment, destination, connection, fields, self._destination)])

    def send_batch(
        self, entries: Iterable[Event | BatchEntry], *, timeout_s: float | None = None
    ) -> None:
        """Take events that go out at once, in messages that hold no others.

        Only they share requests with each other. All are taken, or, if this raises, none. Waits as
        `send` does, but for any room at all: they may exceed the credit.

        timeout_s: how long their delivery may take, on a stream that delivers; the stream's own
        limit if None.

        Raises as `send` does.
        """
        self._require_entered()
        check_timeout(timeout_s)
        found = [outgoing_of(entry, self._destination) for entry in entries]
        self._add(found, self._outstanding.new_group(timeout_s))

    def _add(self, events: list[Outgoing], group: BatchGroup | None = None) -> None:
        outstanding = self._outstanding
        with self._lock:
            self._wait_for_room()
            for event in events:
                outstanding.add(event, group)
            if group is not None:
                self._send_now()
            elif self._due_at is None:
                self._due_at = time.monotonic() + self._options.linger_s
                self._to_send.notify()
            elif outstanding.batch_is_full:
                self._to_send.notify()

    def _wait_for_room(self) -> None:
        outstanding, options = self._outstanding, self._options
        while True:
            if failure := self._failure or self._fault:
                raise failure
            if self._closed:
                raise Closed("the stream was closed")
            if self._finished:
                raise ValueError("the stream is finished")
            if not outstanding.event_count or (
                outstanding.event_count < options.max_outstanding_events
                and outstanding.byte_count < options.max_outstanding_bytes
            ):
                return
            if not outstanding.in_flight:
                self._send_now()  # else room will come, and with it more to share a message
            self._room.wait()

    def finish(self) -> None:
        """Says that nothing more will be sent: iteration ends after the last answer."""
        self._require_entered()
        with self._lock:
            self._finished = True
            self._send_now()
            self._answered.notify_all()
            self._room.notify_all()

    def __iter__(self) -> Iterator[Answer]:
        """Answers as they come, in the order in which the events were sent unless asked otherwise."""
        self._require_entered()
        return self._answers()

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
        self._require_entered()
        return self._map(events, destination, connection)

    def _map(
        self,
        events: Iterable[Event],
        destination: AnyDestination | None,
        connection: AnyConnection | None,
    ) -> Iterator[Answer]:
        failures: list[BaseException] = []

        def feed() -> None:
            try:
                for event in events:
                    self.send(event, destination=destination, connection=connection)
            except BaseException as failure:  # noqa: BLE001 - raised where it can be seen
                failures.append(failure)
            finally:
                self.finish()

        feeding = threading.Thread(target=feed, name="ciosidecar-map", daemon=True)
        feeding.start()
        yield from self._answers()
        feeding.join()
        if failures:
            raise failures[0]

    def _answers(self) -> Iterator[Answer]:
        while True:
            with self._lock:
                while True:
                    if self._closed:
                        raise Closed("the stream was closed")
                    if (answer := next(self._outstanding.take_answers(), None)) is not None:
                        break
                    if self._finished and not self._outstanding.event_count:
                        return
                    if self._failure is not None:
                        raise self._failure
                    self._answered.wait()
                self._room.notify()
                if not self._outstanding.event_count:
                    self._answered.notify_all()  # another thread may iterate too
            yield answer

    def _require_entered(self) -> None:
        if not self._entered:
            raise RuntimeError(NOT_ENTERED)

    def _send_now(self) -> None:
        """What waits goes at once; if nothing does, the next event still starts the clock."""
        if self._outstanding.waiting:
            self._due_at = 0.0
        self._to_send.notify_all()

    def _run(self) -> None:
        """Keeps a connection until all is answered, or no hope is left."""
        failure: SidecarError | None = None
        try:
            self._keep_connected()
        except SidecarError as problem:
            failure = problem
        except BaseException as fault:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            failure = client_fault(fault)
        with self._lock:
            self._failure = failure
            self._answered.notify_all()
            self._room.notify_all()

    def _keep_connected(self) -> None:
        while True:
            answered, began = self._outstanding.answered, time.monotonic()
            failure = self._one_connection()
            reason = "the sidecar ended the stream"
            if failure is not None:
                reason = failure.details
                if not self._closed and not worth_another_try(failure.code):
                    raise call_failed(failure.code, reason)
            with self._lock:
                if not self._closed and self._fault and not self._outstanding.unanswered:
                    raise self._fault
                if self._closed or (self._finished and not self._outstanding.unanswered):
                    return
                progress = self._outstanding.answered > answered
                lasted_s = time.monotonic() - began
                delay_s = self._backoff.delay_s(lasted_s, reason, progress=progress)
                self._to_send.wait_for(lambda: self._closed, timeout=delay_s)
                self.reconnects += 1

    def _one_connection(self) -> "_Status | None":
        """One stream from open to end; the status it failed with, if it did."""
        with self._lock:
            self._connection += 1
            self._opened = self._draining = False
            call = self._call = self._stub.TransformStream(
                self._messages(self._connection), timeout=self._backoff.left_s()
            )
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
                try:
                    self._outstanding.answer(response.results)
                except (ValueError, IndexError) as fault:
                    raise contract_broken(fault) from fault
                self._answered.notify_all()
            elif kind == "opened":
                self._outstanding.connect(response.opened.limits)
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
                    self._to_send.wait(self._linger_left_s())
                if connection != self._connection or self._closed:
                    return
                messages = [] if self._is_over(connection) else self._take_messages()
            if not messages:
                break
            yield from messages
        yield v1.TransformStreamRequest(finish=v1.Finish())

    def _take_messages(self) -> list[v1.TransformStreamRequest]:
        """The next batch; [] if it cannot be made, which ends the stream once the rest is answered."""
        try:
            return self._outstanding.take_messages()
        except Exception as fault:  # noqa: BLE001 - gRPC's thread would keep it to itself
            self._fault = client_fault(fault)
            self._fault.__cause__ = fault
            self._outstanding.drop_waiting()
            self._room.notify_all()
            return []
        finally:
            if not self._outstanding.waiting:
                self._due_at = None

    def _may_send(self, connection: int) -> bool:
        outstanding = self._outstanding
        return (
            connection == self._connection
            and self._opened
            and not self._draining
            and outstanding.waiting
            and (
                outstanding.batch_is_full
                or (self._due_at is not None and time.monotonic() >= self._due_at)
            )
        )

    def _is_over(self, connection: int) -> bool:
        """Whether this connection sends no more."""
        return (
            connection != self._connection
            or self._closed
            or self._draining
            or (
                self._opened
                and (self._finished or self._fault is not None)
                and not self._outstanding.waiting
            )
        )

    def _linger_left_s(self) -> float | None:
        """Until when the oldest waiting event may linger; None if nothing waits, or nobody listens."""
        if not self._opened or self._due_at is None or not self._outstanding.waiting:
            return None
        return max(0.0, self._due_at - time.monotonic())
