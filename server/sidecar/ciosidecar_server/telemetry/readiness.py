"""Readiness: tells a load balancer whether the process should get new streams."""

from .loop_lag import LoopLag

MAX_LAG_S = 2.0
"""Delay of the event loop from which new streams are better off elsewhere. Work yields the loop every 2 ms."""


class Readiness:
    """The reasons why the process is not ready. A destination that is down is none of them.

    Every sidecar sees the same destination down, so a load balancer would be left without any sidecar.
    """

    def __init__(self, lag: LoopLag) -> None:
        self._lag = lag
        self._draining = False

    def drain(self) -> None:
        """Note that the process drains. A process that drains never becomes ready again."""
        self._draining = True

    def reason(self) -> str | None:
        """Return why the process is not ready, or None if it is ready."""
        if self._draining:
            return "draining: the process ends when its streams have finished"
        lag_s = self._lag.worst_s()
        if lag_s > MAX_LAG_S:
            return f"overloaded: the event loop was {lag_s:.1f} s late within the last 5 s"
        return None
