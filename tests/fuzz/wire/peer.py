"""A peer that writes HTTP/2 by hand: frames that no library would build."""

import select
import socket
import struct
from collections.abc import Iterable
from typing import Self

from hpack import Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
TRANSFORM = "/ciosidecar.v1.SidecarService/Transform"
_SEND_WITHIN_S = 5.0


class Gone(Exception):
    """The server has closed the connection, or reads no more."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame. Only its three first fields are as long as they must be."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(payload: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """Return a message as gRPC has it: a flag, the length, the bytes. length: another one than theirs."""
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


class Peer:
    """One connection to the server."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_SEND_WITHIN_S)
        self._encoder = Encoder()
        self._next_stream = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def greet(self, settings: Iterable[tuple[int, int]] = ()) -> None:
        """Write the preface and settings."""
        self.write(
            PREFACE + frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *s) for s in settings))
        )

    def write(self, data: bytes) -> None:
        """Write bytes, and throw away what the server answers meanwhile.

        Raises:
            Gone: the server has closed the connection, or has not read for five seconds.
        """
        view = memoryview(data)
        try:
            while view:
                self.read_all()
                view = view[self._socket.send(view[:65_536]) :]
        except OSError as fault:
            raise Gone from fault

    def write_blindly(self, data: bytes) -> None:
        """Write bytes without ever reading, as long as the server reads."""
        try:
            self._socket.sendall(data)
        except OSError as fault:
            raise Gone from fault

    def read_all(self) -> None:
        """Read what is there already."""
        while select.select([self._socket], [], [], 0)[0]:
            if not self._socket.recv(65_536):
                raise Gone

    def block(
        self,
        path: str = TRANSFORM,
        *extra: tuple[str, str],
        content_type: str = "application/grpc",
    ) -> bytes:
        """Return the header block of a call."""
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", content_type),
            *extra,
        ]
        return self._encoder.encode(fields)

    def stream(self) -> int:
        """Return the number of the next stream."""
        self._next_stream += 2
        return self._next_stream

    def begin(self, path: str = TRANSFORM, *extra: tuple[str, str]) -> int:
        """Begin a call, and return the number of its stream."""
        stream = self.stream()
        self.write(frame(HEADERS, END_HEADERS, stream, self.block(path, *extra)))
        return stream

    def until_closed(self, within_s: float = 20.0) -> bool:
        """Read until the server closes the connection. Return whether it did in time."""
        self._socket.settimeout(within_s)
        try:
            while self._socket.recv(65_536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True
