"""A stream for asyncio."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from ciosidecar._answer_queue import Answer
from ciosidecar._async_session import AsyncSessions
from ciosidecar._async_stream_state import AsyncStreamState
from ciosidecar._call_settings import CallSettings
from ciosidecar._fleet import Sidecar
from ciosidecar._options import DeliveryOptions, StreamOptions, check_timeout
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
from ciosidecar.stream import ENTERED_TWICE, NOT_ENTERED, ORDERLY_END_S


class AsyncStream:
    """A stream: send events one at a time, and iterate over their answers.

    The stream gathers events into messages and limits the outstanding events. If the sidecar goes
    away, the stream reconnects and sends the unanswered events again.

    `AsyncClient.stream` makes streams. A stream is open within its `async with` block. Outside of it,
    every method raises RuntimeError.
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
        self._state = AsyncStreamState(options, addresses)
        self._lanes = [
            AsyncSessions(sidecar.stub, settings, lane, options, delivery)
            for sidecar, lane in zip(sidecars, self._state.lanes, strict=True)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start to connect. Events may be sent at once.

        Raises:
            RuntimeError: The stream was entered before.
        """
        if self._tasks:
            raise RuntimeError(ENTERED_TWICE)
        self._tasks = [asyncio.create_task(self._run(sessions)) for sessions in self._lanes]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the stream. Answers that were not taken are lost: call `finish` and iterate first.

        If every event is answered, the stream is finished, and the sidecar may end the call. Otherwise
        the call is cancelled.
        """
        orderly = [
            task
            for sessions, task in zip(self._lanes, self._tasks, strict=False)
            if sessions.may_end_in_order
        ]
        try:
            if kind is None and orderly:
                self._state.finish()
                await asyncio.wait(orderly, timeout=ORDERLY_END_S)
        finally:
            # Also if leaving is cancelled: no task outlives the block.
            self.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_open(self) -> bool:
        """Return whether the stream is open: from entering it until it is left or cancelled."""
        return bool(self._tasks) and not self._state.closed

    @property
    def reconnects(self) -> int:
        """Return the number of times that the stream was opened again, with affinity at any address."""
        return sum(sessions.reconnects for sessions in self._lanes)

    def cancel(self) -> None:
        """End the stream at once. Sending and iterating raise Closed then."""
        self._require_entered()
        self._state.close()
        for task in self._tasks:
            task.cancel()

    async def send(
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
        await self._state.add([added], self._slots([event], [added]))

    async def send_batch(
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
        await self._state.add(events, slots, self._state.answers.new_group(timeout_s))

    def finish(self) -> None:
        """Declare that no more events will be sent. Iteration ends after the last answer."""
        self._require_entered()
        self._state.finish()

    def __aiter__(self) -> AsyncIterator[Answer]:
        """Yield the answers: in the order of their events or, if `unordered`, as they arrive."""
        self._require_entered()
        return self._answers()

    def map(
        self,
        events: Iterable[Event] | AsyncIterable[Event],
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
    ) -> AsyncIterator[Answer]:
        """Send all events, yield all answers, and finish the stream.

        A task of its own reads the events. If reading or sending raises, the error is raised after
        the last answer.

        Args:
            events: The events.
            destination: The destination of the events. Defaults to the stream's.
            connection: The source connection, required for records.
        """
        self._require_entered()
        return self._map(events, destination, connection)

    async def _map(
        self,
        events: Iterable[Event] | AsyncIterable[Event],
        destination: AnyDestination | None,
        connection: AnyConnection | None,
    ) -> AsyncIterator[Answer]:
        async def feed() -> None:
            try:
                if isinstance(events, AsyncIterable):
                    async for event in events:
                        await self.send(event, destination=destination, connection=connection)
                else:
                    for event in events:
                        await self.send(event, destination=destination, connection=connection)
            finally:
                self.finish()

        feeding = asyncio.create_task(feed())
        try:
            async for answer in self:
                yield answer
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _answers(self) -> AsyncIterator[Answer]:
        while (answer := await self._state.next_answer()) is not None:
            yield answer

    def _slots(self, events: Sequence[Event], encoded: Sequence[Outgoing]) -> list[int]:
        """Return the slot of each event; without affinity, none."""
        if not self._has_affinity:
            return []
        return slots_of(events, encoded)

    async def _run(self, sessions: AsyncSessions) -> None:
        # A method of the stream: its tasks keep it alive, so that `AsyncClient.close` can cancel it.
        try:
            await sessions.run()
        finally:
            if self._state.failure is not None:
                for task in self._tasks:
                    if task is not asyncio.current_task():
                        task.cancel()

    def _require_entered(self) -> None:
        if not self._tasks:
            raise RuntimeError(NOT_ENTERED.replace("`with", "`async with"))
