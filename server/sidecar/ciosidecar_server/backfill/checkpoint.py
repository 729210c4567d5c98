"""The checkpoint: one line for each finished task, and the lock that keeps a second run out."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec.json import Decoder, encode

from .errors import EXIT_USAGE, BackfillFailed
from .files import cannot_write, open_private, write_all
from .manifest import NAME as MANIFEST
from .tasks import KeysResult, PartitionResult, SpillResult

NAME = "checkpoint.jsonl"
LOCK = "lock"


class _Line(msgspec.Struct, omit_defaults=True):
    keys: KeysResult | None = None
    joined: bool = False
    spill: SpillResult | None = None
    partition: PartitionResult | None = None


_decode = Decoder(_Line).decode


class Lock:
    """The right to work in an output directory. The system ends it with the process."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK

    def __enter__(self) -> Self:
        while True:
            try:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as problem:
                raise cannot_write(self._path, problem) from None
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._descriptor)
                raise BackfillFailed(
                    f"another backfill is running in {self._path.parent}", EXIT_USAGE
                ) from None
            if self._is_in_place():
                return self
            os.close(self._descriptor)

    def _is_in_place(self) -> bool:
        """Return False if the backfill that ended in between has removed the file."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not (self._path.parent / MANIFEST).exists():
            # Nothing has begun, as after a usage error.
            with suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)


class Checkpoint:
    """The finished tasks of a backfill. Each is on the disk before it counts."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self.keys: dict[int, KeysResult] = {}
        self.joined = False
        self.spills: dict[int, SpillResult] = {}
        self.partitions: dict[int, PartitionResult] = {}
        try:
            # Without a buffer: it would keep a line that does not fit on the disk, and fail again when it closes.
            self._file = open(self._path, "a+b", buffering=0, opener=open_private)  # noqa: SIM115 - closed by `close`
            self._read()
        except OSError as problem:
            raise cannot_write(self._path, problem) from None

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file.readall().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break  # half-written when the process ended: its task runs again
            whole += len(line)
            try:
                self._keep(_decode(line))
            except msgspec.MsgspecError as problem:
                raise BackfillFailed(f"{self._path} cannot be read: {problem}") from None
        if self._file.seek(0, os.SEEK_END) != whole:
            self._file.truncate(whole)

    def add(self, result: KeysResult | SpillResult | PartitionResult | None) -> None:
        """Write that a task is finished; None for the joining of the links."""
        line = _Line(
            keys=result if isinstance(result, KeysResult) else None,
            joined=result is None,
            spill=result if isinstance(result, SpillResult) else None,
            partition=result if isinstance(result, PartitionResult) else None,
        )
        try:
            write_all(self._file.fileno(), encode(line) + b"\n")
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise cannot_write(self._path, problem) from None
        self._keep(line)

    def _keep(self, line: _Line) -> None:
        self.joined = self.joined or line.joined
        for kept, result in (
            (self.keys, line.keys),
            (self.spills, line.spill),
            (self.partitions, line.partition),
        ):
            if result is not None:
                kept[result.number] = result  # type: ignore[assignment]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
