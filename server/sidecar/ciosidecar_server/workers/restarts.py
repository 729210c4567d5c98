"""Delays before a worker that died is started again."""

import random

FIRST_DELAY_S = 0.2
MAX_DELAY_S = 30.0
STEADY_AFTER_S = 10.0


class RestartBackoff:
    """The delays of one worker: they double from 0.2 to 30 seconds, until the worker has run for 10 seconds."""

    def __init__(self) -> None:
        self._deaths = 0

    def next_delay_s(self, ran_s: float) -> float:
        """Return the delay after another death: a random time between half of the bound and the bound.

        Workers that died of the same cause so start at different times.

        Args:
            ran_s: The seconds that the worker was ready for; 0 if it never was.
        """
        if ran_s >= STEADY_AFTER_S:
            self._deaths = 0
        bound_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._deaths, 10))
        self._deaths += 1
        return bound_s * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
