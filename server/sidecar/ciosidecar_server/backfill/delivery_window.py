"""The bound of outstanding events of a partition: as many as its sidecar answers in time."""

from threading import Condition

MAX_EVENTS = 10_000
# From 40 to 10,000 within 160,000 delivered events; from 20 to 40 within 320.
_GROWTH = 1 / 16


class DeliveryWindow:
    """The bound of outstanding events. Events without a turn make it smaller, delivered ones make it grow."""

    def __init__(self) -> None:
        self._size = float(MAX_EVENTS)
        self._outstanding = 0
        self._done = 0
        self._stopped = False
        self._changed = Condition()

    def begin(self) -> None:
        """Begin a round: no event is outstanding."""
        with self._changed:
            self._outstanding = self._done = 0
            self._stopped = False

    def enter(self) -> bool:
        """Wait until one more event may be sent. Return False if no more events shall be sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._outstanding < self._size)
            if not self._stopped:
                self._outstanding += 1
            return not self._stopped

    def leave(self, *, is_final: bool) -> None:
        """Take the answer of an event.

        Args:
            is_final: True if the event is not sent again.
        """
        with self._changed:
            self._outstanding -= 1
            if is_final:
                self._done += 1
                self._size = min(self._size + _GROWTH, MAX_EVENTS)
            self._changed.notify()

    def shrink(self) -> None:
        """Take note that events of the round had no turn: halve the window, or more if fewer events had one."""
        self._size = max(1.0, min(self._size / 2, float(self._done)))

    @property
    def is_stopped(self) -> bool:
        """Return whether no more events shall be sent in this round."""
        return self._stopped

    def stop(self) -> None:
        """Let no more events be sent in this round."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
