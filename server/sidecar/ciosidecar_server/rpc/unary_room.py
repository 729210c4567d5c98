"""The memory of unary calls: how many bytes of them the server works on at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from .delivery_items import MESSAGE_BYTES
from .errors import ProtocolError
from .memory import give_back_after
from .request_message import UnaryRequest


class UnaryRoom:
    """The bytes of the unary calls under way, and their limit.

    A stream has flow control: the server reads no further. A unary call is read before the server can decide, so a
    call beyond the limit is rejected, and its memory is free at once.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0

    @contextmanager
    def take(self, request: UnaryRequest[Any]) -> Iterator[None]:
        """Count a call while it is under way. A call is accepted whatever its size if there is no other.

        Raises:
            ProtocolError: RESOURCE_EXHAUSTED, if the calls under way leave no room for it. Nothing of it was sent.
        """
        items = 0 if request.batch is None else request.batch.item_count
        size = request.size + MESSAGE_BYTES * (1 + items)
        if self._bytes and self._bytes + size > self._max_bytes:
            give_back_after(request.size)
            raise ProtocolError(
                "batch",
                f"the unary calls under way hold {self._bytes} bytes of the {self._max_bytes} that this server"
                " allows (--max-unary-bytes), and this call needs"
                f" {size}. Nothing of it was done: call again later, or use a stream, which has flow control",
                grpc.StatusCode.RESOURCE_EXHAUSTED,
            )
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size
