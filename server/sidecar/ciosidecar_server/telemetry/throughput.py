"""Events a second, of the last minutes."""

from collections.abc import Callable

_BUCKET_S = 5.0
_BUCKETS = 120
_RATE_BUCKETS = 2


class Throughput:
    """Counts of accepted and of failed events, in buckets of five seconds. Ten minutes are kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin without events. clock: returns seconds that never go back."""
        self._clock = clock
        self._began_at = self._number()
        self._last = self._began_at
        self._accepted = [0] * _BUCKETS
        self._failed = [0] * _BUCKETS

    def add(self, accepted: int, failed: int) -> None:
        """Count events."""
        self._advance()
        self._accepted[self._last % _BUCKETS] += accepted
        self._failed[self._last % _BUCKETS] += failed

    def series(self) -> tuple[list[float], list[float]]:
        """Return accepted and failed events a second, one number for each five seconds, the oldest first."""
        buckets = self._complete(_BUCKETS - 1)
        return (
            [round(self._accepted[number] / _BUCKET_S, 1) for number in buckets],
            [round(self._failed[number] / _BUCKET_S, 1) for number in buckets],
        )

    def per_s(self) -> tuple[float, float]:
        """Return accepted and failed events a second, of the last ten seconds."""
        buckets = self._complete(_RATE_BUCKETS)
        duration_s = _BUCKET_S * max(1, len(buckets))
        accepted = sum(self._accepted[number] for number in buckets)
        failed = sum(self._failed[number] for number in buckets)
        return round(accepted / duration_s, 1), round(failed / duration_s, 1)

    def _complete(self, most: int) -> list[int]:
        """Return the indexes of the buckets that are over, the oldest first."""
        self._advance()
        first = max(self._began_at, self._last - most)
        return [number % _BUCKETS for number in range(first, self._last)]

    def _number(self) -> int:
        return int(self._clock() // _BUCKET_S)

    def _advance(self) -> None:
        """Empty the buckets that began since the last call."""
        number = self._number()
        if number == self._last:
            return
        for begun in range(max(self._last + 1, number - _BUCKETS + 1), number + 1):
            self._accepted[begun % _BUCKETS] = self._failed[begun % _BUCKETS] = 0
        self._last = max(self._last, number)
