"""The bytes of the messages of SidecarService, counted where they become protobuf."""

from collections.abc import Callable
from typing import Any


class MessageBytes:
    """How many bytes of messages the server has received and sent."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        """Begin with zeros."""
        self.received = 0
        self.sent = 0

    def reader(self, read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        """Return a reader of messages that counts their bytes."""

        def reading(data: bytes) -> Any:
            self.received += len(data)
            return read(data)

        return reading

    def written(self, message: Any) -> bytes:
        """Return the bytes of a message, of the protobuf library or of results, and count them."""
        data: bytes = message.SerializeToString()
        self.sent += len(data)
        return data
