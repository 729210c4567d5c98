"""Log lines on stderr that never hold up the event loop."""

import atexit
import logging
import queue
import select
import sys
import threading

MAX_WAITING_LINES = 10_000
_LAST_LINES_S = 1.0
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(level: str) -> None:
    """Send log records of at least this level to stderr."""
    handler = ThreadedHandler(sys.stderr.fileno())
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
    atexit.register(handler.finish)


class ThreadedHandler(logging.Handler):
    """A handler whose lines are written by a thread, so that a full pipe or disk holds up that thread only.

    At most 10,000 lines wait. Further lines are dropped and counted; the count is logged when there is room again.
    """

    def __init__(self, file_descriptor: int) -> None:
        """Write lines to a file descriptor."""
        super().__init__()
        # An unbuffered file has no lock that a blocked thread could hold while the interpreter ends.
        self._file = open(file_descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115 - open until the process ends
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_WAITING_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record's line, or count it if too many lines wait already."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1

    def finish(self) -> None:
        """Write the lines that wait, for at most a second."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_LAST_LINES_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write_line(line)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._write_line(self.format(_dropped_lines(dropped)))

    def _write_line(self, line: str) -> None:
        left = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            while left:
                written = self._file.write(left)
                if written is None:  # a full pipe that does not block
                    select.select([], [self._file], [])
                else:
                    left = left[written:]
        except OSError:
            return  # a closed pipe or a full disk: the server goes on without this line


def _dropped_lines(number: int) -> logging.LogRecord:
    text = "%d log lines were dropped: stderr did not take them in time"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (number,), None)
