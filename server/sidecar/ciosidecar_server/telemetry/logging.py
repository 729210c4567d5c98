"""Log lines on stderr that never hold up the event loop: JSON, or words and colours on a terminal."""

import atexit
import logging
import os
import queue
import select
import sys
import threading
from typing import Any, NamedTuple

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter, filter_by_level
from structlog.typing import EventDict, Processor

from .faults import kind_and_place

MAX_WAITING_LINES = 10_000
_LAST_LINES_S = 1.0
_MAX_TEMPLATE_CHARACTERS = 500
_OWN = "ciosidecar"
# At lower levels these libraries write headers, credentials and paths into their messages.
_TALKATIVE = ("h2", "hpack", "httpcore", "httpx", "grpc._cython")


class LineCounts(NamedTuple):
    """The lines of the log that stderr has not taken."""

    waiting: int
    dropped: int
    """The number of lines that are lost, since the start."""


def get_logger(name: str) -> BoundLogger:
    """Return a logger whose lines have fields. It writes to the standard library's logger of that name."""
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[filter_by_level, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def configure(level: str, log_format: str = "auto", worker: int | None = None) -> None:
    """Send log records of at least this level to stderr.

    Args:
        level: the name of the level, in capitals.
        log_format: json, console, or auto: console if stderr is a terminal.
        worker: the number of this worker, for a field of every line. Optional. None if the process is no worker.
    """
    handler = ThreadedHandler(sys.stderr.fileno())
    _handlers.append(handler)
    handler.setFormatter(formatter(log_format, worker))
    logging.basicConfig(level=level, handlers=[handler])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable
    atexit.register(handler.finish)


def line_counts() -> LineCounts:
    """Return how many lines stderr has not taken."""
    counts = [handler.counts() for handler in _handlers]
    return LineCounts(sum(each.waiting for each in counts), sum(each.dropped for each in counts))


def formatter(log_format: str, worker: int | None = None) -> ProcessorFormatter:
    """Return the formatter of a log format. worker: the number of this worker, None if there is none."""
    is_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    common: list[Processor] = [_without_exception, _level_and_logger, stamp]
    if worker is not None:
        common.append(_of_worker(worker))
    last = _console() if is_console else _json()
    return ProcessorFormatter(
        foreign_pre_chain=[_masked],
        pass_foreign_args=True,
        processors=[*common, ProcessorFormatter.remove_processors_meta, *last],
    )


def _of_worker(number: int) -> Processor:
    def add(_logger: Any, _method: str, fields: EventDict) -> EventDict:
        fields.setdefault("worker", number)
        return fields

    return add


def _json() -> list[Processor]:
    return [
        structlog.processors.EventRenamer("message"),
        _ordered,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _console() -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(colors=_with_colours(), pad_event_to=0)]


def _with_colours() -> bool:
    """Return whether lines have colours: NO_COLOR and FORCE_COLOR count if they are not empty."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stderr.isatty()


def _ordered(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """Put the time, the level and the message first."""
    first = {name: fields.pop(name) for name in ("timestamp", "level", "message", "logger")}
    return {**first, **fields}


def _level_and_logger(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    record: logging.LogRecord = fields["_record"]
    fields["level"] = record.levelname.lower()
    fields["logger"] = record.name
    return fields


def _without_exception(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """Replace an exception by its type and place: its text may quote events and keys."""
    record: logging.LogRecord = fields["_record"]
    record_exception = record.exc_info[1] if record.exc_info else None
    exception = fields.pop("exc_info", None)
    if isinstance(exception, tuple):
        exception = exception[1]
    fault = exception if isinstance(exception, BaseException) else record_exception
    record.exc_info = record.exc_text = None
    if fault is not None:
        fields["fault"], fields["place"] = kind_and_place(fault)
    return fields


def _masked(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """Leave the texts out of a library's line: they may quote events and keys. Its numbers stay."""
    record: logging.LogRecord = fields["_record"]
    arguments = fields.pop("positional_args", ())
    if not record.name.partition(".")[0].startswith(_OWN):
        fields["event"] = _template(record, arguments)
    return fields


def _template(record: logging.LogRecord, arguments: object) -> str:
    if not isinstance(record.msg, str):
        return type(record.msg).__name__
    arguments = arguments if isinstance(arguments, tuple) else ()
    shown = tuple(
        argument if isinstance(argument, int | float) else f"<{type(argument).__name__}>"
        for argument in arguments
    )
    try:
        text = record.msg % shown if shown else record.msg
    except (TypeError, ValueError):
        text = record.msg
    return text[:_MAX_TEMPLATE_CHARACTERS]


def log_loop_exception(_loop: object, context: dict[str, Any]) -> None:
    """Log what asyncio reports of a task or callback, without the texts of exceptions and tasks."""
    fault = context.get("exception")
    if isinstance(fault, BaseException):
        kind, place = kind_and_place(fault)
        get_logger(_OWN).error("internal error in the event loop", fault=kind, place=place)
    else:
        get_logger(_OWN).error("the event loop reports a problem")


def _log_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        kind, place = kind_and_place(arguments.exc_value)
        get_logger(_OWN).error("internal error in a thread", fault=kind, place=place)


def _log_unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    if arguments.exc_value is not None:
        kind, place = kind_and_place(arguments.exc_value)
        get_logger(_OWN).error("internal error without a caller", fault=kind, place=place)


class ThreadedHandler(logging.Handler):
    """A handler whose lines are written by a thread, so that a full pipe or disk holds up that thread only.

    At most 10,000 lines wait. Further lines, and lines that cannot be written, are dropped and counted. The count is
    logged when stderr takes lines again.
    """

    def __init__(self, file_descriptor: int) -> None:
        """Write lines to a file descriptor."""
        super().__init__()
        # An unbuffered file has no lock that a blocked thread could hold while the interpreter ends.
        self._file = open(file_descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115 - open until the process ends
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_WAITING_LINES)
        # Each number is changed by one thread: by those that log under the handler's lock, or by the writing one.
        self._no_room = 0
        self._not_written = 0
        self._reported = 0
        self._torn = False
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record's line, or count it if too many lines wait already."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._no_room += 1

    def counts(self) -> LineCounts:
        """Return how many lines wait and are lost."""
        return LineCounts(self._lines.qsize(), self._no_room + self._not_written)

    def finish(self) -> None:
        """Write the lines that wait, for at most a second."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_LAST_LINES_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._write_line(line):
                self._not_written += 1
                continue
            dropped = self.counts().dropped - self._reported
            if dropped and self._write_line(self.format(_dropped_lines(dropped))):
                self._reported += dropped

    def _write_line(self, line: str) -> bool:
        """Write a line. Return whether stderr took it."""
        left = line.encode("utf-8", "backslashreplace") + b"\n"
        if self._torn:  # a full disk took a part of a line: the next line must not be glued to it
            left = b"\n" + left
        try:
            while left:
                written = self._file.write(left)
                if written is None:  # a full pipe that does not block
                    select.select([], [self._file], [])
                elif written:
                    left = left[written:]
                    self._torn = bool(left)
        except OSError:
            # A closed pipe or a full disk: the server goes on without this line. If only the line's end is missing, the
            # next line brings it.
            return left == b"\n"
        return True


def _dropped_lines(number: int) -> logging.LogRecord:
    text = "log lines dropped, because stderr did not take them: %d"
    return logging.LogRecord(_OWN, logging.WARNING, __file__, 0, text, (number,), None)


_handlers: list[ThreadedHandler] = []
"""The handler of this process, once it logs."""
