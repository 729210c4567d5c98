"""The reconnect backoff of a stream: how long it waits, and when it gives up."""

import random
import time
from collections.abc import Sequence

import grpc

from ciosidecar._options import StreamOptions
from ciosidecar.errors import CallFailed, Unavailable

_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 5.0


def was_useful(lasted_s: float, *, progress: bool) -> bool:
    """Return true if a connection answered any event or lasted: the next one need not wait as long."""
    return progress or lasted_s > _MAX_DELAY_S


class FirstConnection:
    """The time limit for the first connection of a client.

    Args:
        timeout_s: How long the client's streams try, from their beginning.
        addresses: The client's addresses, for errors; empty if it has a channel of the caller's.
    """

    def __init__(self, timeout_s: float, addresses: Sequence[str]) -> None:
        self.timeout_s = timeout_s
        self.made = False
        """True once a sidecar has answered the client."""
        self.place = f" from {', '.join(addresses)}" if addresses else ""


class ReconnectBackoff:
    """The delays between the connections of one stream. The stream's time limits start with it."""

    def __init__(self, options: StreamOptions, first: FirstConnection) -> None:
        self._reconnect_for_s = options.reconnect_for_s
        self._first = first
        self._began = time.monotonic()
        self._ends_at = None if options.timeout_s is None else time.monotonic() + options.timeout_s
        self._failing_since: float | None = None
        self._limit_s = _FIRST_DELAY_S

    def left_s(self) -> float | None:
        """Return what is left of the stream's time limit, or None if it has none."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def delay_s(
        self, lasted_s: float, reason: str, *, progress: bool, connected_at: float = 0.0
    ) -> float:
        """Return how long to wait before the next connection: a random time below a doubling limit.

        Args:
            lasted_s: How long the last connection lasted.
            reason: Why it ended, for the error.
            progress: True if any event was answered on it.
            connected_at: When another lane of the stream last had a connection, on the monotonic clock.

        Raises:
            CallFailed: The stream's time limit has passed.
            Unavailable: For `reconnect_for_s`, no connection made progress or lasted; or no first
                connection came in its own time limit.
        """
        now = time.monotonic()
        left_s = self.left_s()
        if left_s == 0:
            raise CallFailed(grpc.StatusCode.DEADLINE_EXCEEDED, reason)
        if was_useful(lasted_s, progress=progress):
            self._failing_since, self._limit_s = None, _FIRST_DELAY_S
        if self._failing_since is None:
            self._failing_since = now
        # Only a stream without any connection gives up.
        self._failing_since = max(self._failing_since, connected_at)
        if now - self._failing_since > self._reconnect_for_s:
            raise self._no_answer(self._reconnect_for_s, reason)
        limit_s, self._limit_s = self._limit_s, min(self._limit_s * 2, _MAX_DELAY_S)
        delay_s = random.uniform(0, limit_s)  # noqa: S311 - not a secret
        if not self._first.made:
            first_left_s = self._began + self._first.timeout_s - now
            if first_left_s <= 0:
                raise self._no_answer(self._first.timeout_s, reason)
            delay_s = min(delay_s, first_left_s)
        return delay_s if left_s is None else min(delay_s, left_s)

    def _no_answer(self, waited_s: float, reason: str) -> Unavailable:
        return Unavailable(f"no answer for {waited_s:g} s{self._first.place}: {reason}")
