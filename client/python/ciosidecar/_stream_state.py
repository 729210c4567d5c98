"""The state that the threads of a stream share: the caller's and the session's."""

import threading
import time

from ciosidecar._options import StreamOptions
from ciosidecar._outstanding import Answer, BatchGroup, OutstandingEvents
from ciosidecar.errors import Closed, SidecarError
from ciosidecar.events import Outgoing


class StreamState:
    """The outstanding events of a stream and how far the stream is, behind one lock.

    Methods acquire the lock, unless their docstring says that the caller holds it.
    """

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self.outstanding = OutstandingEvents(
            max_batch_events=options.max_batch_events,
            max_batch_bytes=options.max_batch_bytes,
            unordered=options.unordered,
        )
        self.finished = False
        self.closed = False
        self.fault: SidecarError | None = None
        """Why nothing more is sent. Events that were sent still get their answers."""
        self.failure: SidecarError | None = None
        """Why no more answers arrive."""
        self.due_at: float | None = None
        """When the waiting events are sent although they fill no message."""
        # One lock for everything here; each condition is one reason to wait.
        self.lock = threading.Lock()
        self.to_send = threading.Condition(self.lock)
        self.answered = threading.Condition(self.lock)
        self.room = threading.Condition(self.lock)

    def add(self, events: list[Outgoing], group: BatchGroup | None = None) -> None:
        """Queue events once there is room for outstanding events.

        Raises:
            Closed: The stream is closed.
            SidecarError: The stream has failed.
            ValueError: The stream is finished.
        """
        outstanding = self.outstanding
        with self.lock:
            self._wait_for_room()
            for event in events:
                outstanding.add(event, group)
            if group is not None:
                self.send_now()
            elif self.due_at is None:
                self.due_at = time.monotonic() + self._options.linger_s
                self.to_send.notify()
            elif outstanding.batch_is_full:
                self.to_send.notify()

    def _wait_for_room(self) -> None:
        outstanding, options = self.outstanding, self._options
        while True:
            if failure := self.failure or self.fault:
                raise failure
            if self.closed:
                raise Closed("the stream was closed")
            if self.finished:
                raise ValueError("the stream is finished")
            if not outstanding.event_count or (
                outstanding.event_count < options.max_outstanding_events
                and outstanding.byte_count < options.max_outstanding_bytes
            ):
                return
            if not outstanding.in_flight:
                # Without this, nothing makes room. With events in flight, waiting fills messages.
                self.send_now()
            self.room.wait()

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
                if (answer := next(self.outstanding.take_answers(), None)) is not None:
                    break
                if self.finished and not self.outstanding.event_count:
                    return None
                if self.failure is not None:
                    raise self.failure
                self.answered.wait()
            self.room.notify()
            if not self.outstanding.event_count:
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
        for condition in (self.to_send, self.answered, self.room):
            condition.notify_all()

    def fail(self, failure: SidecarError | None) -> None:
        """Note that the session has ended, and why; None if it ended as it should."""
        with self.lock:
            self.failure = failure
            self.answered.notify_all()
            self.room.notify_all()

    def fail_sending(self, fault: SidecarError) -> None:
        """Note that the waiting events cannot be sent. The caller of this method holds the lock."""
        self.fault = fault
        self.outstanding.drop_waiting()
        self.room.notify_all()

    def send_now(self) -> None:
        """Make the waiting events due, if there are any. The caller of this method holds the lock."""
        if self.outstanding.waiting:
            self.due_at = 0.0
        self.to_send.notify_all()

    def linger_left_s(self) -> float | None:
        """Return how long the oldest waiting event may still linger, or None if no event waits.

        The caller of this method holds the lock.
        """
        if self.due_at is None or not self.outstanding.waiting:
            return None
        return max(0.0, self.due_at - time.monotonic())

    @property
    def batch_is_due(self) -> bool:
        """True if the waiting events fill a message or are due. The caller holds the lock."""
        return self.outstanding.waiting and (
            self.outstanding.batch_is_full
            or (self.due_at is not None and time.monotonic() >= self.due_at)
        )
