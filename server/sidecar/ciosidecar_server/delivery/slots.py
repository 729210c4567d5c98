"""The connections that all workspaces share, and which workspace may have another connection."""

import asyncio
from collections.abc import Callable

_MOST_OFFERS = 16
_REST_AFTER_S = 0.01


class Slots:
    """The requests that may be under way at a time, over all workspaces.

    A workspace may have four times as many slots as are free, so that no few workspaces take all. The workspaces in
    doubt (never answered yet, failing, or hanging) have half of the slots between them, each at most as many as are
    left of that half. The other half is for the workspaces that respond.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._free_in_doubt = max(1, total // 2)
        self._waiting: dict[bool, dict[Callable[[], None], None]] = {False: {}, True: {}}
        self._offering: asyncio.TimerHandle | None = None

    def take(self, taken: int, *, in_doubt: bool) -> bool:
        """Take a slot if there is a slot for a workspace. taken: how many the workspace has already."""
        if taken >= self._limit(in_doubt=in_doubt):
            return False
        self._free -= 1
        if in_doubt:
            self._free_in_doubt -= 1
        return True

    def give_back(self, *, in_doubt: bool) -> None:
        """Give a slot back, as it was taken."""
        self._free += 1
        if in_doubt:
            self._free_in_doubt += 1
        if self._offering is None and (self._waiting[False] or self._waiting[True]):
            self._offer_after(0.0)

    def wait(self, wake: Callable[[], None], *, in_doubt: bool) -> None:
        """Call `wake` once when there may be a slot."""
        self._waiting[in_doubt][wake] = None

    def _limit(self, *, in_doubt: bool) -> int:
        limit = 4 * self._free
        return min(limit, self._free_in_doubt) if in_doubt else limit

    def _offer_after(self, delay_s: float) -> None:
        self._offering = asyncio.get_running_loop().call_later(delay_s, self._offer)

    def _offer(self) -> None:
        """Wake the workspaces that wait, in their order, while there are slots."""
        self._offering = None
        left = False
        for in_doubt, waiting in self._waiting.items():
            left = left or len(waiting) > _MOST_OFFERS
            for _ in range(min(len(waiting), _MOST_OFFERS)):
                if self._limit(in_doubt=in_doubt) <= 0:
                    break
                wake = next(iter(waiting))
                del waiting[wake]
                wake()
        # The other workspaces are woken later, even if no more requests end.
        if left and self._offering is None:
            self._offer_after(_REST_AFTER_S)
