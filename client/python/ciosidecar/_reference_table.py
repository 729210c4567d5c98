"""Reference ids for the destinations and connections that a caller names repeatedly."""

from collections import OrderedDict
from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

Referent = TypeVar("Referent", bound=Hashable)


class ReferenceTable(Generic[Referent]):
    """The reference ids of one connection or call. If all ids are in use, the oldest is reused."""

    def __init__(self) -> None:
        self._max_ids = 1
        self._ids: OrderedDict[Referent, int] = OrderedDict()
        self._undeclared: list[tuple[int, Referent]] = []

    def reset(self, max_ids: int) -> None:
        """Forget all references. max_ids is how many the server keeps."""
        self._max_ids = max(1, max_ids)
        self._ids.clear()
        self._undeclared.clear()

    def reference_id(self, referent: Referent, in_use: Collection[int]) -> int | None:
        """Return the id of a destination or connection, and assign one if it has none.

        Args:
            referent: The destination or connection.
            in_use: Ids that the next message refers to already. They are not reused.

        Returns:
            The id, from 1; None if no id is free and the oldest one is in use.
        """
        reference_id = self._ids.get(referent)
        if reference_id is not None:
            return reference_id
        if len(self._ids) < self._max_ids:
            reference_id = len(self._ids) + 1
        elif next(iter(self._ids.values())) not in in_use:
            _, reference_id = self._ids.popitem(last=False)
        else:
            return None
        self._ids[referent] = reference_id
        self._undeclared.append((reference_id, referent))
        return reference_id

    def take_undeclared(self) -> list[tuple[int, Referent]]:
        """Return the references that the server does not know yet. They count as declared then."""
        undeclared, self._undeclared = self._undeclared, []
        return undeclared
