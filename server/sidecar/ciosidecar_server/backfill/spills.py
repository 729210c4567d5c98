"""The second pass: the events of a split, distributed to partitions in the order of the input.

A spill is one file for each split. It consists of runs, each with the events of partition 0, then of partition 1, and
so on. At the end is an index: for each run, the start of every partition and the end of the last one.
"""

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

from .components import Roots
from .files import work_path, writing
from .reading import Row, Rows
from .tasks import PartitionTask, SpillResult, SpillTask

_MAX_BUFFERED_BYTES = 64 << 20
_HEADER = Struct("<IQII")
_TRAILER = Struct("<QI")


class SpilledEvent(NamedTuple):
    """An event of a partition with its place in the input."""

    file: int
    """The number of the input file, from 0."""
    row: int
    """The number of the line or row in the file, from 1."""
    line: bytes
    """The line; b"" if it was too long."""
    problem: str = ""
    """Why a row of a table is no event; "" if it is one."""


def spill(task: SpillTask) -> SpillResult:
    """Write the spill of a split."""
    job = task.job
    keys = work_path(job.directory, f"keys-{task.number:05}").read_bytes()
    key_of_event = memoryview(keys).cast("Q")
    with (
        Roots(job.directory) as roots,
        writing(work_path(job.directory, f"spill-{task.number:05}")) as opened,
    ):
        runs = _Runs(opened, job.partitions)
        for number, row in enumerate(Rows(task.split, job.columns)):
            partition = roots.root(key_of_event[number]) % job.partitions
            runs.add(partition, task.split.file, task.first_row + row.number, row)
        runs.finish()
    return SpillResult(task.number, runs.events)


class _Runs:
    """A writer of runs."""

    def __init__(self, file: BinaryIO, partitions: int) -> None:
        self._file = file
        self._buffers = [bytearray() for _ in range(partitions)]
        self._buffered = 0
        self._index = array("Q")
        self._runs = 0
        self.events = [0] * partitions

    def add(self, partition: int, file: int, number: int, row: Row) -> None:
        buffer = self._buffers[partition]
        problem = row.problem.encode()
        buffer += _HEADER.pack(file, number, len(row.event), len(problem))
        buffer += row.event
        buffer += problem
        self.events[partition] += 1
        self._buffered += _HEADER.size + len(row.event) + len(problem)
        if self._buffered >= _MAX_BUFFERED_BYTES:
            self._end_run()

    def finish(self) -> None:
        if self._buffered:
            self._end_run()
        at = self._file.tell()
        self._file.write(self._index.tobytes())
        self._file.write(_TRAILER.pack(at, self._runs))

    def _end_run(self) -> None:
        at = self._file.tell()
        for buffer in self._buffers:
            self._index.append(at)
            self._file.write(buffer)
            at += len(buffer)
            buffer.clear()
        self._index.append(at)
        self._buffered = 0
        self._runs += 1


def read_partition(task: PartitionTask) -> Iterator[SpilledEvent]:
    """Yield the events of a partition in the order of the input."""
    for number in range(task.splits):
        path = work_path(task.job.directory, f"spill-{number:05}")
        yield from _read_segments(path, task.number, task.job.partitions)


def _read_segments(path: Path, partition: int, partitions: int) -> Iterator[SpilledEvent]:
    with path.open("rb") as opened:
        end = opened.seek(-_TRAILER.size, os.SEEK_END)
        index_at, runs = _TRAILER.unpack(opened.read(_TRAILER.size))
        opened.seek(index_at)
        index = array("Q", opened.read(end - index_at))
        for run in range(runs):
            entry = run * (partitions + 1) + partition
            opened.seek(index[entry])
            left = index[entry + 1] - index[entry]
            while left:
                file, row, size, problem_size = _HEADER.unpack(opened.read(_HEADER.size))
                line, problem = opened.read(size), opened.read(problem_size).decode()
                yield SpilledEvent(file, row, line, problem)
                left -= _HEADER.size + size + problem_size
