"""Numbers for what a stream names over and over: it travels once, and is a number from then on."""

from collections import OrderedDict
from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

Named = TypeVar("Named", bound=Hashable)


class ReferenceTable(Generic[Named]):
    """Which number stands for what, on one connection. The oldest gives its number up."""

    def __init__(self) -> None:
        self._max_numbers = 1
        self._numbers: OrderedDict[Named, int] = OrderedDict()
        self._undeclared: list[tuple[int, Named]] = []

    def begin_anew(self, max_numbers: int) -> None:
        """Forgets everything. max_numbers: how many the server keeps."""
        self._max_numbers = max(1, max_numbers)
        self._numbers.clear()
        self._undeclared.clear()

    def reference_id(self, named: Named, in_use: Collection[int]) -> int | None:
        """Its number, from 1; None if it has none and all numbers there are must stay as they are.

        in_use: numbers that the next message names already.
        """
        number = self._numbers.get(named)
        if number is not None:
            return number
        if len(self._numbers) < self._max_numbers:
            number = len(self._numbers) + 1
        elif next(iter(self._numbers.values())) not in in_use:
            _, number = self._numbers.popitem(last=False)
        else:
            return None
        self._numbers[named] = number
        self._undeclared.append((number, named))
        return number

    def take_undeclared(self) -> list[tuple[int, Named]]:
        """What the server must be told before it meets these numbers."""
        found, self._undeclared = self._undeclared, []
        return found
