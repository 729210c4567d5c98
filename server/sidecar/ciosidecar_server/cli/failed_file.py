"""The file of `deliver --failed`: events that failed, in a form that `deliver` and `backfill` read again."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ciosidecar import Result

from ..jsonl.failures import failed_line
from ..jsonl.streaming import InputLine
from .outcome import EXIT_USAGE, Failed, reason

_UNANSWERED: dict[str, Any] = {
    "code": "UNANSWERED",
    "message": "the command ended before the event had a result: it may have been delivered or not",
    "retryable": True,
}


class FailedFile:
    """A file of failed events. Each line is written at once, so that the file is whole whenever the command ends."""

    def __init__(self, path: Path | None, *, source: str, has_config: bool) -> None:
        """Open the file.

        Args:
            path: The path, or None for no file.
            source: The file of the input; - for standard input.
            has_config: Whether each line of the input has a config of its own.

        Raises:
            Failed: The file cannot be written, or has events already.
        """
        self._path = path
        self._source = None if source == "-" else os.path.realpath(source)
        self.events = 0
        """The number of events in the file."""
        self._has_config = has_config
        self._descriptor = -1 if path is None else _opened(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def add(self, line: InputLine, result: Result) -> None:
        """Write the event of a line if it failed.

        Raises:
            Failed: The file cannot be written.
        """
        if self._descriptor >= 0 and result.error is not None:
            self._write(line, _failure(result))

    def add_unfinished(self, lines: Iterable[tuple[InputLine, Result | None]]) -> None:
        """Write the events that have no result, because the command ends early."""
        if self._descriptor < 0:
            return
        with suppress(Failed):  # the failure that ends the command is reported, or another one is
            for line, result in lines:
                if result is None:
                    self._write(line, dict(_UNANSWERED))
                else:
                    self.add(line, result)

    def _write(self, line: InputLine, failure: dict[str, Any]) -> None:
        if self._source is not None:
            failure["file"] = _shown(self._source)
        failure["line"] = line.number
        data = failed_line(line.text, line.parsed, failure, has_config=self._has_config)
        size = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as problem:
            with suppress(OSError):  # no half line, which would be an event that cannot be read
                os.ftruncate(self._descriptor, size)
            raise Failed(
                f"cannot write {self._path}: {reason(problem)}; line {line.number} failed and is not in it"
            ) from None
        self.events += 1


def _shown(path: str) -> str:
    """Return a path as text that can stand in JSON."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _opened(path: Path) -> int:
    try:
        # Events are personal data, and lines may have credentials.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as problem:
        raise Failed(f"cannot write {path}: {reason(problem)}", EXIT_USAGE) from None
    if os.fstat(descriptor).st_size:
        os.close(descriptor)
        raise Failed(
            f"{path} (--failed) has something in it, perhaps events that are still to be sent: name another file",
            EXIT_USAGE,
        )
    return descriptor


def _failure(result: Result) -> dict[str, Any]:
    error, delivery = result.error, result.delivery
    assert error is not None  # noqa: S101 - only failures come here
    failure: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "status": result.status,
        "retryable": error.retryable,
        "attempts": 0 if delivery is None else delivery.attempts,
    }
    if delivery is not None and delivery.http_status:
        failure["http_status"] = delivery.http_status
    if delivery is not None and delivery.reason:
        failure["reason"] = delivery.reason
    return failure
