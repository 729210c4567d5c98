"""The state that the threads of a stream share: the caller's and those of its lanes."""

import threading
import time
from collections.abc import Sequence

from ciosidecar._affinity_router import AffinityRouter
from ciosidecar._answer_queue import Answer, AnswerQueue, BatchGroup
from ciosidecar._options import StreamOptions
from ciosidecar._outstanding import Answered, OutstandingEvents
from ciosidecar.affinity import Affinity
from ciosidecar.errors import Closed, SidecarError
from ciosidecar.events import Outgoing

SETTLE_S = 0.5
"""The time that a stream with affinity waits for its other lanes once the first one is connected."""


class Lane:
    """One connection of a stream: its events, and when they are sent.

    Methods and properties expect that the caller holds the lock.
    """

    def __init__(self, state: "StreamState", options: StreamOptions) -> None:
        self.state = state
        self.outstanding = OutstandingEvents(
            state.answers,
            max_batch_events=options.max_batch_events,
            max_batch_bytes=options.max_batch_bytes,
            moves_events=options.affinity is Affinity.PERSON,
        )
        self.due_at = 0.0
        """When the waiting events are sent although they fill no message. Meaningless if none waits."""
        self.to_send = threading.Condition(state.lock)
        self._linger_s = options.linger_s

    def linger(self) -> None:
        """Note that an event was added, which waits for others to share its message."""
        if self.outstanding.waiting_count == 1:
            self.due_at = time.monotonic() + self._linger_s
            self.to_send.notify()
        elif self.outstanding.batch_is_full:
            self.to_send.notify()

    def send_now(self) -> None:
        """Make the waiting events due, if there are any."""
        if self.outstanding.waiting:
            self.due_at = 0.0
        self.to_send.notify_all()

    def linger_left_s(self) -> float | None:
        """Return how long the oldest waiting event may still linger, or None if no event waits."""
        if not self.outstanding.waiting:
            return None
        return max(0.0, self.due_at - time.monotonic())

    @property
    def batch_is_due(self) -> bool:
        """Return whether the waiting events fill a message or are due."""
        return self.outstanding.waiting and (
            self.outstanding.batch_is_full or time.monotonic() >= self.due_at
        )

    @property
    def sent_all(self) -> bool:
        """Return whether the lane will never have another event to send."""
        state = self.state
        if not state.finished and state.fault is None:
            return False
        # With affinity, the lane may still get events of a lane whose sidecar goes away.
        return not (self.outstanding.waiting if state.router is None else state.unanswered)


class StreamState:
    """The outstanding events of a stream and how far the stream is, behind one lock.

    Methods acquire the lock, unless their docstring says that the caller holds it.

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
        # One lock for everything here; each condition is one reason to wait.
        self.lock = threading.Lock()
        self.answered = threading.Condition(self.lock)
        self.room = threading.Condition(self.lock)
        self.lanes = [Lane(self, options) for _ in addresses or ("",)]
        self.router: AffinityRouter | None = None
        self._connected_until = 0.0
        self._settling: threading.Timer | None = None
        if addresses:
            outstanding = [lane.outstanding for lane in self.lanes]
            self.router = AffinityRouter(addresses, outstanding, self._on_enqueue)

    @property
    def unanswered(self) -> bool:
        """Return whether an event has no result yet. The caller holds the lock."""
        if any(lane.outstanding.unanswered for lane in self.lanes):
            return True
        return self.router is not None and self.router.holds_events

    @property
    def over(self) -> bool:
        """Return whether nothing more is sent or received. The caller holds the lock."""
        return self.closed or self.failure is not None

    def add(
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
        with self.lock:
            self._wait_for_room()
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

    def _wait_for_room(self) -> None:
        answers, options = self.answers, self._options
        while True:
            if failure := self.failure or self.fault:
                raise failure
            if self.closed:
                raise Closed("the stream was closed")
            if self.finished:
                raise ValueError("the stream is finished")
            if not answers.event_count or (
                answers.event_count < options.max_outstanding_events
                and answers.byte_count < options.max_outstanding_bytes
            ):
                return
            if not any(lane.outstanding.in_flight for lane in self.lanes):
                # Without this, nothing makes room. With events in flight, waiting fills messages.
                self.send_now()
            self.room.wait()

    def new_group(self, timeout_s: float | None) -> BatchGroup:
        """Return a new group of events. timeout_s is the time limit of its delivery."""
        with self.lock:
            return self.answers.new_group(timeout_s)

    def next_answer(self) -> Answer | None:
        """Return the next answer, waiting for it; None after the last one of a finished stream.

        Raises:
            Closed: The stream is closed.
            SidecarError: The stream has failed, and all answers from before were taken.
        """
        with self.lock:
            while True:
                if self.closed:
                    raise Closed("the stream was closed")
                if (answer := next(self.answers.take(), None)) is not None:
                    break
                if self.finished and not self.answers.event_count:
                    return None
                if self.failure is not None:
                    raise self.failure
                self.answered.wait()
            self.room.notify()
            if not self.answers.event_count:
                self.answered.notify_all()  # another thread may iterate too
            return answer

    def finish(self) -> None:
        """Note that no more events will be added."""
        with self.lock:
            self.finished = True
            self.send_now()
            self.answered.notify_all()
            self.room.notify_all()

    def close(self) -> None:
        """Note that the caller has closed the stream. The caller of this method holds the lock."""
        self.closed = True
        self._wake_all()

    def fail(self, failure: SidecarError | None) -> None:
        """Note that a lane has ended, and why; None if it ended as it should."""
        with self.lock:
            self.failure = self.failure or failure
            self._wake_all()

    def _wake_all(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
        for condition in (*(lane.to_send for lane in self.lanes), self.answered, self.room):
            condition.notify_all()

    def fail_sending(self, lane: Lane, fault: SidecarError) -> None:
        """Note that the waiting events cannot be sent. The caller of this method holds the lock."""
        self.fault = fault
        if self.router is None:
            lane.outstanding.take_waiting()
        else:
            self.router.drop()
        self.room.notify_all()
        self.send_now()

    def send_now(self) -> None:
        """Make the waiting events of all lanes due. The caller of this method holds the lock."""
        for lane in self.lanes:
            lane.send_now()

    def note_answered(self, lane: Lane, results: Answered) -> None:
        """Note that events of a lane have their results. The caller of this method holds the lock."""
        self.answered.notify_all()
        if self.router is not None:
            self.router.answered(results.answered)
            if results.returned:
                self.router.returned(self.lanes.index(lane), results.returned)
                self.send_now()
            if self.finished and not self.unanswered:
                self.send_now()  # the lanes may send Finish

    def lane_opened(self, lane: Lane) -> None:
        """Note that a lane is connected. The caller of this method holds the lock."""
        if self.router is not None:
            self.router.opened(self.lanes.index(lane))
            if not self.router.settled and self._settling is None:
                self._settling = threading.Timer(SETTLE_S, self._settle)
                self._settling.daemon = True
                self._settling.start()
        self.send_now()

    def _settle(self) -> None:
        with self.lock:
            if self.router is not None and not self.over:
                self.router.settle()

    def lane_draining(self, lane: Lane) -> None:
        """Note that a lane's sidecar drains. The caller of this method holds the lock."""
        if self.router is not None:
            self.router.draining(self.lanes.index(lane))
            self.send_now()
        lane.to_send.notify_all()

    def lane_lost(self, lane: Lane, *, useful: bool) -> None:
        """Note that a lane's connection has ended, and whether it answered anything or lasted. The caller of this method holds the lock."""
        if self.router is not None and not self.over:
            was_connected = self.router.is_connected
            self.router.lost(self.lanes.index(lane))
            if useful and was_connected and not self.router.is_connected:
                self._connected_until = time.monotonic()
            self.send_now()

    def connected_at(self) -> float:
        """Return when another lane last had a connection, on the monotonic clock; 0 if none had.

        The caller of this method holds the lock.
        """
        if self.router is not None and self.router.is_connected:
            return time.monotonic()
        return self._connected_until
