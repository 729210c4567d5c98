"""The progress of a partition's delivery: which of its events are answered, and the files of the others.

Each line of the progress file is the whole state; the last whole line counts. What a killed process was answered within
the last moment may be missing: those events are sent again.
"""

import fcntl
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec.json import Decoder, encode

from .errors import BackfillFailed
from .files import cannot_write, work_path, write_all

_SYNC_EVERY_S = 1.0
_LOCK_WITHIN_S = 10.0
_LOCK_PAUSE_S = 0.05
_TAIL_BYTES = 1 << 16
_KINDS = ("refused", "failed")


class State(msgspec.Struct):
    """What is known of the events of a partition, which are numbered in their order."""

    next: int = 0
    """The first event that was not answered yet. All before it are, except the open ones."""
    open: list[int] = []
    """Events before `next` that must be sent again."""
    answered: list[tuple[int, int]] = []
    """Events after `next` with a final answer: each first one of a row of them, and the event after the last one."""
    events: int = 0
    """Events with a final answer."""
    outcomes: dict[str, int] = {}
    warnings: dict[str, int] = {}
    refused: int = 0
    failed: int = 0
    bytes: dict[str, int] = {}
    """The size of the files of refused and of failed events."""


_decode = Decoder(State).decode


class DeliveryProgress:
    """The state of a partition on the disk, and its files of refused and of failed events."""

    def __init__(self, directory: str, partition: int) -> None:
        self._directory = Path(directory)
        self._path = work_path(directory, f"progress-{partition:05}")
        self._names = {kind: f"{kind}-{partition:05}.jsonl" for kind in _KINDS}
        self._parts = {kind: work_path(directory, name) for kind, name in self._names.items()}
        self._files: dict[str, int] = {}
        self._unsynced: set[str] = set()
        self._synced_at = time.monotonic()
        self.state = State()
        self.outcomes: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Read the state of an earlier start, and keep other processes out.

        Raises:
            BackfillFailed: The files cannot be used.
        """
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                self._lock()
                self._read()
                for kind, part in self._parts.items():
                    self._open_part(kind, part)
            except BaseException:
                self._close()
                raise
        except OSError as problem:
            raise cannot_write(self._path, problem) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        for descriptor in (self._file, *self._files.values()):
            os.close(descriptor)
        self._files.clear()

    def _lock(self) -> None:
        """Wait until a worker of a killed start, which may still run for a moment, has ended."""
        give_up_at = time.monotonic() + _LOCK_WITHIN_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    raise BackfillFailed(
                        f"a worker of an earlier start still has {self._path} open: end it first"
                    ) from None
                time.sleep(_LOCK_PAUSE_S)
            else:
                return

    def _read(self) -> None:
        self.state = last_state(self._file)
        # A half-written line of a killed process must not become a part of the next line.
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            write_all(self._file, b"\n")
        self.outcomes = Counter(self.state.outcomes)
        self.warnings = Counter(self.state.warnings)

    def _open_part(self, kind: str, part: Path) -> None:
        """Open a file of lines, without the lines that the state does not know of."""
        size = self.state.bytes.get(kind, 0)
        final = self._directory / self._names[kind]
        if size and not part.exists() and final.exists():
            final.rename(part)  # the process ended between the end of the partition and its report
        self._files[kind] = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if os.fstat(self._files[kind]).st_size < size:
            raise BackfillFailed(f"{part} was changed: start again with another --output")
        os.ftruncate(self._files[kind], size)

    def add_line(self, kind: str, line: bytes) -> None:
        """Append a line to the file of refused, or of failed, events.

        Raises:
            BackfillFailed: The file cannot be written.
        """
        try:
            write_all(self._files[kind], line)
        except OSError as problem:
            raise cannot_write(self._parts[kind], problem) from None
        self.state.bytes[kind] = self.state.bytes.get(kind, 0) + len(line)
        self._unsynced.add(kind)

    def write(self, open_events: Collection[int], answered: Collection[int]) -> None:
        """Write the state.

        Args:
            open_events: The events that must be sent again.
            answered: The events after `next` with an answer.

        Raises:
            BackfillFailed: The file cannot be written.
        """
        state = self.state
        state.open = sorted(number for number in open_events if number < state.next)
        state.answered = _rows(number for number in answered if number not in open_events)
        state.outcomes, state.warnings = dict(self.outcomes), dict(self.warnings)
        try:
            # The state must not know of lines that a power failure would take away.
            for kind in self._unsynced:
                os.fsync(self._files[kind])
            self._unsynced.clear()
            write_all(self._file, encode(state) + b"\n")
            now = time.monotonic()
            if now - self._synced_at >= _SYNC_EVERY_S:
                os.fsync(self._file)
                self._synced_at = now
        except OSError as problem:
            raise cannot_write(self._path, problem) from None

    def finish(self) -> list[str]:
        """Move the files to the output directory, and return their names. Empty ones are removed."""
        names = []
        try:
            os.fsync(self._file)
            for kind, part in self._parts.items():
                if self.state.bytes.get(kind):
                    part.rename(self._directory / self._names[kind])
                    names.append(self._names[kind])
                else:
                    part.unlink()
        except OSError as problem:
            raise cannot_write(self._path, problem) from None
        return names


def _rows(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the rows of consecutive numbers, each as its first number and the one after its last."""
    rows: list[tuple[int, int]] = []
    first = end = -1
    for number in sorted(numbers):
        if number != end:
            if end >= 0:
                rows.append((first, end))
            first = number
        end = number + 1
    return [*rows, (first, end)] if end >= 0 else rows


def last_state(descriptor: int) -> State:
    """Return the state in the last whole line of a progress file, or an empty one."""
    size = os.fstat(descriptor).st_size
    tail_bytes = _TAIL_BYTES
    while True:
        start = max(0, size - tail_bytes)
        lines = os.pread(descriptor, size - start, start).split(b"\n")
        # The first line may lack its start, and the last one its end.
        for line in reversed(lines[start > 0 : -1]):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                return _decode(line)
        if not start:
            return State()
        tail_bytes *= 2
