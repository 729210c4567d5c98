"""A stream for threads."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from ciosidecar._answer_queue import Answer
from ciosidecar._call_settings import CallSettings
from ciosidecar._fleet import Sidecar
from ciosidecar._options import DeliveryOptions, StreamOptions, check_timeout
from ciosidecar._session import Sessions
from ciosidecar._stream_state import StreamState
from ciosidecar.affinity import Affinity, slots_of
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    BatchEntry,
    Destination,
    Event,
    Outgoing,
    bare_event,
    outgoing,
    outgoing_of,
)

NOT_ENTERED = (
    "the stream is not open: open it with `with client.stream(...) as stream:` before you use it"
)
ORDERLY_END_S = 2.0
"""The time that leaving a stream waits, after Finish, for the sidecar to end the call."""
ENTERED_TWICE = "a stream can be opened only once: ask the client for another one"


class Stream:
    """A stream: send events one at a time, and iterate over their answers.

    The stream gathers events into messages and limits the outstanding events. If the sidecar goes
    away, the stream reconnects and sends the unanswered events again. Send from one thread and iterate
    in another, or use `map`, which does both.

    `Client.stream` makes streams. A stream is open within its `with` block. Outside of it, every
    method raises RuntimeError.
    """

    def __init__(
        self,
        sidecars: Sequence[Sidecar],
        settings: CallSettings,
        destination: Destination | None,
        options: StreamOptions,
        delivery: DeliveryOptions | None,
    ) -> None:
        self._destination = destination
        self._has_affinity = options.affinity is Affinity.PERSON
        addresses = [sidecar.address for sidecar in sidecars] if self._has_affinity else []
        self._state = StreamState(options, addresses)
        self._lanes = [
            Sessions(sidecar.stub, settings, lane, options, delivery)
            for sidecar, lane in zip(sidecars, self._state.lanes, strict=True)
        ]
        self._entered = False
        self._threads = [
            threading.Thread(
                target=self._run, args=(sessions,), name="ciosidecar-stream", daemon=True
            )
            for sessions in self._lanes
        ]

    def __enter__(self) -> Self:
        """Start to connect. Events may be sent at once.

        Raises:
            RuntimeError: The stream was entered before.
        """
        with self._state.lock:
            if self._entered:
                raise RuntimeError(ENTERED_TWICE)
            self._entered = True
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the stream. Answers that were not taken are lost: call `finish` and iterate first.

        If every event is answered, the stream is finished, and the sidecar may end the call. Otherwise
        the call is cancelled.
        """
        try:
            if kind is None and any(sessions.may_end_in_order for sessions in self._lanes):
                ends_at = time.monotonic() + ORDERLY_END_S
                self._state.finish()
                for sessions, thread in zip(self._lanes, self._threads, strict=True):
                    if not sessions.may_end_in_order:
                        sessions.cancel()  # it still connects
                    thread.join(max(0.0, ends_at - time.monotonic()))
        finally:
            # Also after Ctrl-C: no thread outlives the block.
            self.cancel()
            for thread in self._threads:
                thread.join()

    @property
    def is_open(self) -> bool:
        """Return whether the stream is open: from entering it until it is left or cancelled."""
        return self._entered and not self._state.closed

    @property
    def reconnects(self) -> int:
        """Return the number of times that the stream was opened again, with affinity at any address."""
        return sum(sessions.reconnects for sessions in self._lanes)

    def cancel(self) -> None:
        """End the stream at once, from any thread. Sending and iterating raise Closed then."""
        self._require_entered()
        with self._state.lock:
            self._state.close()
        for sessions in self._lanes:
            sessions.cancel()

    def send(
        self,
        event: Event,
        attachment: Any = None,
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
        **fields: Any,
    ) -> None:
        """Queue an event. Wait while too many events are outstanding.

        Args:
            event: The event, or on a stream with delivery the request of an earlier transform.
            attachment: The caller's own object, returned with the result. Defaults to the event.
            destination: The event's destination. Defaults to the stream's.
            connection: The source connection, required for a record.
            fields: Fields of v1.BatchItem: source_type, dont_batch, ordering_key, attempt,
                traceparent, tag.

        Raises:
            TypeError: The event, the destination or a field has the wrong type.
            ValueError: The event cannot be sent, has no destination, or the stream is finished.
            SidecarError: The stream has failed or is closed.
        """
        self._require_entered()
        added = outgoing(event, attachment, destination, connection, fields, self._destination)
        self._state.add([added], self._slots([event], [added]))

    def send_batch(
        self, entries: Iterable[Event | BatchEntry], *, timeout_s: float | None = None
    ) -> None:
        """Send events at once, in messages of their own. They share requests only with each other.

        Either all events are sent or, if this method raises, none. It waits as `send` does, but
        only until any further event may be sent: the batch may exceed the limits of the stream.

        Args:
            entries: The events.
            timeout_s: The time limit of their delivery. Defaults to the stream's.

        Raises:
            TypeError: As for `send`.
            ValueError: As for `send`, or the time limit is not above 0.
            SidecarError: As for `send`.
        """
        self._require_entered()
        check_timeout(timeout_s)
        batch = list(entries)
        events = [outgoing_of(entry, self._destination) for entry in batch]
        slots = self._slots([bare_event(entry) for entry in batch], events)
        self._state.add(events, slots, self._state.new_group(timeout_s))

    def finish(self) -> None:
        """Declare that no more events will be sent. Iteration ends after the last answer."""
        self._require_entered()
        self._state.finish()

    def __iter__(self) -> Iterator[Answer]:
        """Yield the answers: in the order of their events or, if `unordered`, as they arrive."""
        self._require_entered()
        return self._answers()

    def map(
        self,
        events: Iterable[Event],
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
    ) -> Iterator[Answer]:
        """Send all events, yield all answers, and finish the stream.

        A thread of its own reads the events. If reading or sending raises, the error is raised after
        the last answer.

        Args:
            events: The events.
            destination: The destination of the events. Defaults to the stream's.
            connection: The source connection, required for records.
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
            except BaseException as failure:  # noqa: BLE001 - raised after the last answer
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
        while (answer := self._state.next_answer()) is not None:
            yield answer

    def _slots(self, events: Sequence[Event], encoded: Sequence[Outgoing]) -> list[int]:
        """Return the slot of each event; without affinity, none."""
        if not self._has_affinity:
            return []
        return slots_of(events, encoded)

    def _run(self, sessions: Sessions) -> None:
        # A method of the stream: its threads keep it alive, so that `Client.close` can cancel it.
        sessions.run()
        with self._state.lock:
            failed = self._state.failure is not None
        if failed:
            for other in self._lanes:
                other.cancel()

    def _require_entered(self) -> None:
        if not self._entered:
            raise RuntimeError(NOT_ENTERED)
