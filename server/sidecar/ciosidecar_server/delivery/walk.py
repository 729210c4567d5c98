"""Walks over many workspaces that let other work of the event loop in."""

import asyncio
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Generic, TypeVar

TURN_S = 0.002
"""The time after which other work has its turn."""

_Item = TypeVar("_Item")


class Walk(Generic[_Item]):
    """A walk over items in turns of the running event loop. The first turn is over when this returns."""

    def __init__(self, items: Iterable[_Item], visit: Callable[[_Item], None]) -> None:
        """Begin the walk.

        Args:
            items: the items. They MUST NOT change during the walk.
            visit: called with each item.
        """
        self._rest = iter(items)
        self._visit = visit
        self._go_on()

    def _go_on(self) -> None:
        ends_at = perf_counter() + TURN_S
        for item in self._rest:
            self._visit(item)
            if perf_counter() > ends_at:
                asyncio.get_running_loop().call_soon(self._go_on)
                return
