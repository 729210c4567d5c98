"""Two lines in the log for each stream: one when it opens, one when it closes."""

import asyncio
import logging
import time
from types import TracebackType
from typing import Self

from ciosidecar.v1 import event_pb2
from ciosidecar.v1 import service_pb2 as pb

from .errors import ProtocolError

_log = logging.getLogger(__name__)
_MAX_NAME_CHARACTERS = 64


class SessionLog:
    """The log lines of one stream; a context manager around its life.

    A stream that never opens is not logged.
    """

    def __init__(self, session_id: str, peer: str) -> None:
        self._session_id = session_id
        self._peer = peer
        self._caller = ""
        self._opened_at: float | None = None
        self._batches = 0
        self._items = 0
        self._results = 0
        self.reason = "finished"
        """Why the stream closes, unless an exception says it."""

    def opened(self, opening: pb.OpenStream) -> None:
        """Log that the stream opened."""
        self._opened_at = time.monotonic()
        self._caller = f"{_printable(opening.client_name)} {_printable(opening.client_version)}"
        _log.info(
            "stream %s opened: client %s, peer %s, delivery %s, %d destinations, %d connections",
            self._session_id,
            self._caller,
            self._peer,
            "on" if opening.HasField("delivery") else "off",
            len(opening.destinations),
            len(opening.connections),
        )

    def received(self, batch: event_pb2.Batch) -> None:
        """Count a batch."""
        self._batches += 1
        self._items += len(batch.items)

    def answered(self, response: pb.TransformStreamResponse) -> None:
        """Count the results of a response."""
        self._results += len(response.results.statuses)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Log that the stream closed."""
        if self._opened_at is None:
            return
        _log.info(
            "stream %s closed: client %s, peer %s, %.3f s, %d batches, %d items, %d results, reason: %s",
            self._session_id,
            self._caller,
            self._peer,
            time.monotonic() - self._opened_at,
            self._batches,
            self._items,
            self._results,
            self.reason if fault is None else _reason(fault),
        )


def _reason(fault: BaseException) -> str:
    if isinstance(fault, ProtocolError):
        return f"{fault.field}: {fault.text}"
    return "cancelled" if isinstance(fault, asyncio.CancelledError) else "internal error"


def _printable(text: str) -> str:
    """Return a caller's text in quotes, cut and escaped: it must not forge a line of the log."""
    return ascii(text[:_MAX_NAME_CHARACTERS])
