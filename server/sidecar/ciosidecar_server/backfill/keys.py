"""The first pass: the ordering keys of every event, and which keys are linked by an event that has both.

Keys are hashes of 64 bits. If two keys share a hash, their people share a partition, which harms nothing.
"""

from array import array
from collections.abc import Iterable
from hashlib import blake2b
from typing import BinaryIO

from ciosidecar_transform.ordering import operation_keys
from ciosidecar_transform.pipeline import transform_event

from .events import LineReader, ReadEvent
from .files import work_path, writing
from .reading import Rows
from .tasks import Job, KeysResult, KeysTask

_MAX_BUFFERED = 200_000


def hash_of(data: bytes) -> int:
    """Return a hash that is the same in every process and on every machine."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def find_keys(task: KeysTask) -> KeysResult:
    """Write the key of each event of a split, and the links between keys.

    The key of an event stands for all its keys: they are linked. An event without keys, which no other event has to
    wait for, gets a key of its own.
    """
    rows = Rows(task.split, task.job.columns)
    events = 0
    directory = task.job.directory
    with (
        writing(work_path(directory, f"keys-{task.number:05}")) as keys_file,
        writing(work_path(directory, f"links-{task.number:05}")) as links_file,
    ):
        keys, links = _Hashes(keys_file), _Links(links_file)
        key_of = KeyReader(task.job)
        for row in rows:
            hashes = [hash_of(row.event)] if row.problem else key_of(row.event)
            keys.append(hashes[0])
            links.add(hashes)
            events += 1
        keys.flush()
        links.flush()
    return KeysResult(task.number, rows.count, events)


class KeyReader:
    """Returns the hashes of an event's keys, the smallest first."""

    def __init__(self, job: Job) -> None:
        self._reader = LineReader(job)
        self._now = job.now

    def __call__(self, line: bytes) -> list[int]:
        """Return at least one hash."""
        read = self._reader.read(line)
        if isinstance(read, ReadEvent):
            # The rules themselves say whom an event concerns: no other code can be as exact.
            transformed = transform_event(
                read.line.event,
                read.destination,
                source_type="",
                now=self._now,
                connection=read.connection,
            )
            if transformed.operation is not None and transformed.event is not None:
                keys = operation_keys(
                    transformed.operation, transformed.event, by_phone=read.destination.by_phone
                )
                if keys:
                    return sorted(hash_of(key.encode("utf-8", "surrogatepass")) for key in keys)
        return [hash_of(line)]


class _Hashes:
    """A writer of 64-bit numbers."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._numbers = array("Q")

    def append(self, number: int) -> None:
        self._numbers.append(number)
        if len(self._numbers) >= _MAX_BUFFERED:
            self.flush()

    def flush(self) -> None:
        self._file.write(self._numbers.tobytes())
        self._numbers = array("Q")


class _Links:
    """A writer of pairs of linked hashes. Most pairs are met again and again, so recent ones are remembered."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pairs: set[tuple[int, int]] = set()

    def add(self, hashes: list[int]) -> None:
        if len(hashes) > 1:
            first = hashes[0]
            self._pairs.update((first, other) for other in hashes[1:])
            if len(self._pairs) >= _MAX_BUFFERED:
                self.flush()

    def flush(self) -> None:
        self._file.write(_flat(sorted(self._pairs)).tobytes())
        self._pairs.clear()


def _flat(pairs: Iterable[tuple[int, int]]) -> "array[int]":
    return array("Q", (number for pair in pairs for number in pair))
