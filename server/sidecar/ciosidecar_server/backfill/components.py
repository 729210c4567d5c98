"""Which keys belong together: the links of all splits, joined by union-find.

The smallest hash of a component stands for it. So the result depends neither on the order of the links nor on the splits.
"""

import mmap
import os
from array import array
from bisect import bisect_left
from pathlib import Path
from types import TracebackType
from typing import Self

from .files import work_path, writing

ROOTS = "roots"
_CHUNK = 1 << 20


class Components:
    """Sets of linked hashes. About 200 bytes of memory for each hash that is linked to another one."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def link(self, one: int, other: int) -> None:
        """Put two hashes into one component."""
        one, other = self.root(one), self.root(other)
        if one < other:
            self._parents[other] = one
        elif other < one:
            self._parents[one] = other

    def root(self, number: int) -> int:
        """Return the smallest hash of the component of a hash."""
        parents = self._parents
        while (parent := parents.get(number, number)) != number:
            grandparent = parents.get(parent, parent)
            parents[number] = grandparent
            number = parent
        return number

    def write(self, path: Path) -> None:
        """Write the hashes that are not the smallest of their component, sorted, and then their roots."""
        hashes = array("Q", sorted(self._parents))
        roots = array("Q", map(self.root, hashes))
        with writing(path) as opened:
            opened.write(hashes.tobytes())
            opened.write(roots.tobytes())


def join_links(directory: str, splits: int) -> None:
    """Join the links of all splits, and write the roots."""
    components = Components()
    for number in range(splits):
        path = work_path(directory, f"links-{number:05}")
        with path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                links = array("Q", chunk)
                for one, other in zip(links[::2], links[1::2], strict=True):
                    components.link(one, other)
    components.write(work_path(directory, ROOTS))


class Roots:
    """The roots in a file. Processes of a machine share its memory."""

    def __init__(self, directory: str) -> None:
        with work_path(directory, ROOTS).open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self._numbers = memoryview(self._map).cast("Q")
        self._count = len(self._numbers) // 2

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._numbers.release()
        if isinstance(self._map, mmap.mmap):
            self._map.close()

    def root(self, number: int) -> int:
        """Return the smallest hash of the component of a hash."""
        index = bisect_left(self._numbers, number, 0, self._count)
        if index < self._count and self._numbers[index] == number:
            return self._numbers[self._count + index]
        return number
