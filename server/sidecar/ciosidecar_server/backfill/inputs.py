"""The inputs of a backfill: files, their fingerprints, and the splits that tasks read."""

import glob
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from .errors import EXIT_USAGE, BackfillFailed

MIN_SPLIT_BYTES = 16 << 20
_MAX_SPLIT_BYTES = 256 << 20
_WANTED_SPLITS = 1024
_END_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """An input file, and what shows that it is still the same."""

    path: str
    """The absolute path."""
    kind: str
    """The key of its reader in `KINDS`."""
    size: int
    mtime_ns: int
    ends: str
    """A hash of its first and last 64 KiB."""


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a file that one task reads."""

    file: int
    """The number of the file among the inputs, from 0."""
    input: InputFile
    start: int
    """For lines, the first byte. For Parquet, the first row group."""
    end: int
    """For lines, the byte after the last one. For Parquet, the row group after the last one."""


def lines_splits(file: InputFile, split_size: int) -> Iterator[tuple[int, int]]:
    """Yield byte ranges of a file of lines, cut at the ends of lines."""
    with Path(file.path).open("rb") as opened:
        start = 0
        while start < file.size:
            end = _after_line(opened.fileno(), start + split_size - 1, file.size)
            yield start, end
            start = end


def _after_line(descriptor: int, at: int, size: int) -> int:
    """Return the position after the end of the line that has a byte at a position."""
    while at < size:
        chunk = os.pread(descriptor, _CHUNK_BYTES, at)
        if not chunk:
            break
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(chunk)
    return size


def _whole(file: InputFile, _split_size: int) -> Iterator[tuple[int, int]]:
    """Yield a single range: a compressed file can only be read from its start."""
    yield 0, file.size


def _row_groups(file: InputFile, split_size: int) -> Iterator[tuple[int, int]]:
    from .parquet.tables import row_group_splits  # noqa: PLC0415 - an extra

    return row_group_splits(file.path, split_size)


SPLITTERS: dict[str, Callable[[InputFile, int], Iterator[tuple[int, int]]]] = {
    "lines": lines_splits,
    "gzip": _whole,
    "parquet": _row_groups,
}
"""By kind of file, the function that yields the ranges of its splits."""

SUFFIXES = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".jsonl.gz": "gzip",
    ".ndjson.gz": "gzip",
    ".parquet": "parquet",
}
"""By suffix, the kind of the files that are read in a directory."""


def find_inputs(arguments: Sequence[str], output: Path) -> list[InputFile]:
    """Return the input files of some paths, directories and patterns, in order and each once.

    A directory stands for the files in it, at any depth, whose suffix is in SUFFIXES, by name.

    Args:
        arguments: The paths, directories and patterns.
        output: The output directory. It may be in an input directory: its own files are no inputs.

    Raises:
        BackfillFailed: A path does not exist or cannot be read, or there is no file at all.
    """
    paths: dict[str, None] = {}
    for argument in arguments:
        paths.update(dict.fromkeys(_expanded(argument, os.path.realpath(output))))
    return [_describe(path) for path in paths]


def _expanded(argument: str, output: str) -> list[str]:
    """Return the real paths of the files that an argument names."""
    if argument == "-":
        raise BackfillFailed(
            "standard input cannot be read twice, as a backfill does: write it to a file first",
            EXIT_USAGE,
        )
    if Path(argument).is_dir():
        found = _outside(output, _files_in(argument))
        if not found:
            raise BackfillFailed(
                f"{argument} has no file of events ({', '.join(sorted(SUFFIXES))})", EXIT_USAGE
            )
        return found
    if Path(argument).exists() or not glob.has_magic(argument):
        return [os.path.realpath(argument)]
    matches = glob.glob(argument, recursive=True)  # noqa: PTH207 - Path.glob has no absolute patterns
    found = _outside(output, (path for path in matches if Path(path).is_file()))
    if not found:
        raise BackfillFailed(f"no file matches {argument}", EXIT_USAGE)
    return found


def _outside(directory: str, paths: Iterable[str]) -> list[str]:
    """Return the real paths of files that are not in a directory, by name."""
    real = (os.path.realpath(path) for path in sorted(paths))
    return [path for path in real if not Path(path).is_relative_to(directory)]


def _files_in(directory: str) -> Iterator[str]:
    """Yield the files of events in a directory. Links to other directories are not followed."""
    for parent, directories, names in os.walk(directory, onerror=_cannot_list):
        directories[:] = [name for name in directories if not name.startswith((".", "_"))]
        for name in names:
            if not name.startswith((".", "_")) and _kind_of(name) is not None:
                yield os.path.join(parent, name)  # noqa: PTH118 - 100,000 files are usual


def _cannot_list(problem: OSError) -> NoReturn:
    """Raise an error: without the events of a directory, the others are not in order."""
    raise BackfillFailed(f"cannot read {problem.filename}: {problem.strerror}", EXIT_USAGE)


def _kind_of(name: str) -> str | None:
    for suffix, kind in SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    return None


def _describe(path: str) -> InputFile:
    kind = _kind_of(path) or ("gzip" if path.endswith(".gz") else "lines")
    _check_name(path)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # to open a pipe would wait for its writer
            raise BackfillFailed(
                f"cannot read {path} twice, as a backfill does: write it to a regular file first",
                EXIT_USAGE,
            )
        with Path(path).open("rb") as opened:
            status = os.fstat(opened.fileno())
            start = opened.read(_END_BYTES)
            if start.startswith(b"PAR1"):  # what each Parquet file starts with, whatever its name
                kind = "parquet"
            ends = hashlib.sha256(start)
            opened.seek(max(0, status.st_size - _END_BYTES))
            ends.update(opened.read(_END_BYTES))
    except OSError as problem:
        raise BackfillFailed(f"cannot read {path}: {problem.strerror}", EXIT_USAGE) from None
    return InputFile(
        path=path,
        kind=kind,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ends=ends.hexdigest()[:16],
    )


def _check_name(path: str) -> None:
    """Check that a path can stand in the manifest and in positions, which are JSON.

    Raises:
        BackfillFailed: The path is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise BackfillFailed(
            f"cannot read {shown}: its name is not UTF-8: rename it", EXIT_USAGE
        ) from None


def check_unchanged(file: InputFile) -> None:
    """Check that a file still has the size and the time that it had at the start.

    Raises:
        BackfillFailed: The file is gone, or was changed.
    """
    try:
        status = Path(file.path).stat()
    except OSError as problem:
        raise BackfillFailed(f"cannot read {file.path}: {problem.strerror}") from None
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise BackfillFailed(
            f"{file.path} was changed while it was read: start again with another --output"
        )


def split_inputs(files: Sequence[InputFile]) -> list[Split]:
    """Return the splits of all files, in order."""
    total = sum(file.size for file in files)
    split_size = min(max(MIN_SPLIT_BYTES, total // _WANTED_SPLITS), _MAX_SPLIT_BYTES)
    return [
        Split(number, file, start, end)
        for number, file in enumerate(files)
        for start, end in SPLITTERS[file.kind](file, split_size)
    ]
