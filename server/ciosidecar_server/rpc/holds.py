"""After a failure that may be tried again: the person's later events wait for the caller."""

from collections.abc import Collection, Iterable

from ..delivery.job import Place

MAX_HELD = 100_000


class Holds:
    """Of one stream: whose events are held back, and which are welcome again.

    A caller sends on before it hears of a failure. What it sent in the meantime must not overtake
    the event that failed, which it will send again: such events are held back once, with the place
    of the failed one, and so come to the caller's queue as well. An event that comes again, be it
    the failed one or one that was held back, says that the caller knows; it passes, and whatever
    concerns the same person passes with it.
    """

    def __init__(self) -> None:
        self._causes: dict[str, Place] = {}
        self._failed: dict[int, None] = {}

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return bool(self._causes)

    def add(self, keys: Iterable[str], fingerprint: int, cause: Place) -> None:
        """An event failed and may be tried again. fingerprint: of its bytes."""
        for key in keys:
            self._causes.setdefault(key, cause)
        self._failed[fingerprint] = None
        while len(self._failed) > MAX_HELD:
            del self._failed[next(iter(self._failed))]
        while len(self._causes) > MAX_HELD:
            del self._causes[next(iter(self._causes))]

    def cause(self, keys: Collection[str], fingerprint: int, *, again: bool) -> Place | None:
        """What an event must wait for, or None if it may go.

        again: whether the caller says that it has tried it before.
        """
        if again or fingerprint in self._failed:
            self._failed.pop(fingerprint, None)
            for key in keys:
                self._causes.pop(key, None)
            return None
        for key in keys:
            found = self._causes.get(key)
            if found is not None:
                return found
        return None
