"""The state that the tasks of a stream for asyncio share: the caller's and those of its lanes."""

import asyncio
import time
from collections.abc import Sequence

from ciosidecar._affinity_router import AffinityRouter
from ciosidecar._answer_queue import Answer, AnswerQueue, BatchGroup
from ciosidecar._options import StreamOptions
from ciosidecar._outstanding import Answered, OutstandingEvents
from ciosidecar._stream_state import SETTLE_S
from ciosidecar.affinity import Affinity
from ciosidecar.errors import Closed, SidecarError
from ciosidecar.events import Outgoing


class AsyncLane:
    """One connection of a stream: its events, and when they are sent."""

    def __init__(self, state: "AsyncStreamState", options: StreamOptions) -> None:
        self.state = state
        self.outstanding = OutstandingEvents(
            state.answers,
            max_batch_events=options.max_batch_events,
            max_batch_bytes=options.max_batch_bytes,
            moves_events=options.affinity is Affinity.PERSON,
        )
        self.due = False
        """True if the waiting events are sent although they fill no message."""
        self.to_send = asyncio.Event()
        """Set when there may be an event to send, and cleared by the task that waits for it."""
        self._linger_s = options.linger_s
        self._linger: asyncio.TimerHandle | None = None

    def linger(self) -> None:
        """Note that an event was added, which waits for others to share its message."""
        if self._linger is None:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(self._linger_s, self.send_now)
        if self.outstanding.batch_is_full:
            self.to_send.set()

    def send_now(self) -> None:
        """Make the waiting events due."""
        self.stop_timer()
        self.due = True
        self.to_send.set()

    def stop_timer(self) -> None:
        """Forget the time at which the waiting events would be due."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    @property
    def sent_all(self) -> bool:
        """Return whether the lane will never have another event to send."""
        state = self.state
        if not state.finished and state.fault is None:
            return False
        # With affinity, the lane may still get events of a lane whose sidecar goes away.
        return not (self.outstanding.waiting if state.router is None else state.unanswered)


class AsyncStreamState:
    """The outstanding events of a stream and how far the stream is. It belongs to one event loop.

    Args:
        options: The options of the stream.
        addresses: With affinity, the addresses of the lanes. Otherwise there is one lane for all.
    """

    def __init__(self, options: StreamOptions, addresses: Sequence[str] = ()) -> None:
        self._options = options
        self.answers = AnswerQueue(unordered=options.unordered)
        self.finished = False
        self.closed = False
        self.fault: SidecarError | None = None
        """Why nothing more is sent. Events that were sent still get their answers."""
        self.failure: SidecarError | None = None
        """Why no more answers arrive."""
        # Each event is set when its name may be true, and cleared by the task that waits for it.
        self.answered = asyncio.Event()
        self.room = asyncio.Event()
        self.lanes = [AsyncLane(self, options) for _ in addresses or ("",)]
        self.router: AffinityRouter | None = None
        self._connected_until = 0.0
        self._settling: asyncio.TimerHandle | None = None
        if addresses:
            outstanding = [lane.outstanding for lane in self.lanes]
            self.router = AffinityRouter(addresses, outstanding, self._on_enqueue)

    @property
    def unanswered(self) -> bool:
        """Return whether an event has no result yet."""
        if any(lane.outstanding.unanswered for lane in self.lanes):
            return True
        return self.router is not None and self.router.holds_events

    @property
    def over(self) -> bool:
        """Return whether nothing more is sent or received."""
        return self.closed or self.failure is not None

    async def add(
        self, events: list[Outgoing], slots: Sequence[int], group: BatchGroup | None = None
    ) -> None:
        """Queue events once there is room for outstanding events.

        Args:
            events: The events.
            slots: The slot of each event. Without affinity, ignored.
            group: The group of the events, which are then sent at once.

        Raises:
            Closed: The stream is closed.
            SidecarError: The stream has failed.
            ValueError: The stream is finished.
        """
        if any(lane.outstanding.batch_is_full for lane in self.lanes):
            # A producer that never awaits would keep the sending tasks from running. After the events are queued,
            # a call that is cancelled would raise although they are sent.
            await asyncio.sleep(0)
        while not self._has_room():
            if not any(lane.outstanding.in_flight for lane in self.lanes):
                # Without this, nothing makes room. With events in flight, waiting fills messages.
                self.send_now()
            self.room.clear()
            await self.room.wait()
        if self.router is None:
            (lane,) = self.lanes
            for event in events:
                lane.outstanding.enqueue(self.answers.add(event, group))
            if group is None:
                lane.linger()
        else:
            for event, slot in zip(events, slots, strict=True):
                self.router.place(self.answers.add(event, group, slot))
        if group is not None:
            self.send_now()

    def _on_enqueue(self, index: int) -> None:
        self.lanes[index].linger()

    def _has_room(self) -> bool:
        answers, options = self.answers, self._options
        if self.closed:
            raise Closed("the stream was closed")
        if failure := self.failure or self.fault:
            raise failure
        if self.finished:
            raise ValueError("the stream is finished")
        return not answers.event_count or (
            answers.event_count < options.max_outstanding_events
            and answers.byte_count < options.max_outstanding_bytes
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
            if (answer := next(self.answers.take(), None)) is not None:
                self.room.set()
                if not self.answers.event_count:
                    self.answered.set()  # another task may iterate too
                return answer
            if self.finished and not self.answers.event_count:
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
        self._wake_all()

    def fail(self, failure: SidecarError | None) -> None:
        """Note that a lane has ended, and why; None if it ended as it should."""
        self.failure = self.failure or failure
        self._wake_all()

    def _wake_all(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
        for lane in self.lanes:
            lane.stop_timer()
            lane.to_send.set()
        self.answered.set()
        self.room.set()

    def fail_sending(self, lane: AsyncLane, fault: SidecarError) -> None:
        """Note that the waiting events cannot be sent."""
        self.fault = fault
        if self.router is None:
            lane.outstanding.take_waiting()
        else:
            self.router.drop()
        self.room.set()
        self.send_now()

    def send_now(self) -> None:
        """Make the waiting events of all lanes due."""
        for lane in self.lanes:
            lane.send_now()

    def note_answered(self, lane: AsyncLane, results: Answered) -> None:
        """Note that events of a lane have their results."""
        self.answered.set()
        if self.router is not None:
            self.router.answered(results.answered)
            if results.returned:
                self.router.returned(self.lanes.index(lane), results.returned)
                self.send_now()
            if self.finished and not self.unanswered:
                self.send_now()  # the lanes may send Finish

    def lane_opened(self, lane: AsyncLane) -> None:
        """Note that a lane is connected."""
        if self.router is not None:
            self.router.opened(self.lanes.index(lane))
            if not self.router.settled and self._settling is None:
                loop = asyncio.get_running_loop()
                self._settling = loop.call_later(SETTLE_S, self.router.settle)
        self.send_now()

    def lane_draining(self, lane: AsyncLane) -> None:
        """Note that a lane's sidecar drains."""
        if self.router is not None:
            self.router.draining(self.lanes.index(lane))
            self.send_now()
        lane.to_send.set()

    def lane_lost(self, lane: AsyncLane, *, useful: bool) -> None:
        """Note that a lane's connection has ended, and whether it answered anything or lasted."""
        if self.router is not None and not self.over:
            was_connected = self.router.is_connected
            self.router.lost(self.lanes.index(lane))
            if useful and was_connected and not self.router.is_connected:
                self._connected_until = time.monotonic()
            self.send_now()

    def connected_at(self) -> float:
        """Return when another lane last had a connection, on the monotonic clock; 0 if none had."""
        if self.router is not None and self.router.is_connected:
            return time.monotonic()
        return self._connected_until
