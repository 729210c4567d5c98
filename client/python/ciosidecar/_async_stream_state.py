"""The state that the tasks of a stream for asyncio share: the caller's and the session's."""

import asyncio

from ciosidecar._options import StreamOptions
from ciosidecar._outstanding import Answer, BatchGroup, OutstandingEvents
from ciosidecar.errors import Closed, SidecarError
from ciosidecar.events import Outgoing


class AsyncStreamState:
    """The outstanding events of a stream and how far the stream is. It belongs to one event loop."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self.outstanding = OutstandingEvents(
            max_batch_events=options.max_batch_events,
            max_batch_bytes=options.max_batch_bytes,
            unordered=options.unordered,
        )
        self.finished = False
        self.closed = False
        self.due = False
        """True if the waiting events are sent although they fill no message."""
        self.fault: SidecarError | None = None
        """Why nothing more is sent. Events that were sent still get their answers."""
        self.failure: SidecarError | None = None
        """Why no more answers arrive."""
        # Each event is set when its name may be true, and cleared by the task that waits for it.
        self.to_send = asyncio.Event()
        self.answered = asyncio.Event()
        self.room = asyncio.Event()
        self._linger: asyncio.TimerHandle | None = None

    async def add(self, events: list[Outgoing], group: BatchGroup | None = None) -> None:
        """Queue events once there is room for outstanding events.

        Raises:
            Closed: The stream is closed.
            SidecarError: The stream has failed.
            ValueError: The stream is finished.
        """
        outstanding = self.outstanding
        while not self._has_room():
            if not outstanding.in_flight:
                # Without this, nothing makes room. With events in flight, waiting fills messages.
                self.send_now()
            self.room.clear()
            await self.room.wait()
        for event in events:
            outstanding.add(event, group)
        if group is not None:
            self.send_now()
        elif self._linger is None:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(self._options.linger_s, self.send_now)
        if outstanding.batch_is_full:
            self.to_send.set()
            # A producer that never awaits would keep the sending task from running.
            await asyncio.sleep(0)

    def _has_room(self) -> bool:
        outstanding, options = self.outstanding, self._options
        if self.closed:
            raise Closed("the stream was closed")
        if failure := self.failure or self.fault:
            raise failure
        if self.finished:
            raise ValueError("the stream is finished")
        return not outstanding.event_count or (
            outstanding.event_count < options.max_outstanding_events
            and outstanding.byte_count < options.max_outstanding_bytes
        )

    async def next_answer(self) -> Answer | None:
        """Return the next answer, waiting for it; None after the last one of a finished stream.

        Raises:
            Closed: The stream is closed.
            SidecarError: The stream has failed, and all answers from before were taken.
        """
        while True:
            self.answered.clear()
            if self.closed:
                raise Closed("the stream was closed")
            if (answer := next(self.outstanding.take_answers(), None)) is not None:
                self.room.set()
                if not self.outstanding.event_count:
                    self.answered.set()  # another task may iterate too
                return answer
            if self.finished and not self.outstanding.event_count:
                self.answered.set()
                return None
            if self.failure is not None:
                self.answered.set()
                raise self.failure
            await self.answered.wait()

    def finish(self) -> None:
        """Note that no more events will be added."""
        self.finished = True
        self.send_now()
        self.answered.set()
        self.room.set()

    def close(self) -> None:
        """Note that the caller has closed the stream."""
        self.closed = True
        if self._linger is not None:
            self._linger.cancel()
        self.answered.set()
        self.room.set()

    def fail_sending(self, fault: SidecarError) -> None:
        """Note that the waiting events cannot be sent."""
        self.fault = fault
        self.outstanding.drop_waiting()
        self.room.set()

    def send_now(self) -> None:
        """Make the waiting events due."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self.due = True
        self.to_send.set()
