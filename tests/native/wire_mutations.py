"""Seeded mutations of messages on the wire: of their bytes, and of fields at any level."""

from collections.abc import Callable
from random import Random

from tests.native.wire_messages import field, varint

_NOT_UTF8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xe2\x82")

Piece = tuple[int, int, bytes]
"""A field of a message: its number, its wire type, and all its bytes with the tag."""


def mutated(data: bytes, random: Random) -> bytes:
    """Return a message with one to three changes, at any level of it."""
    for _ in range(random.randint(1, 3)):
        data = (
            _changed_bytes(data, random)
            if random.random() < 0.3
            else _changed_fields(data, random.randrange(3), random)
        )
    return data


def _changed_bytes(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    kind = random.randrange(5)
    if kind == 0 and at < len(data):
        return data[:at] + bytes((data[at] ^ 1 << random.randrange(8),)) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + random.randbytes(random.randint(1, 4)) + data[at:]
    if kind == 3:
        return data[:at] + data[at + random.randint(1, 4) :]
    end = random.randint(at, len(data))
    return data[:end] + data[at:end] + data[end:]


def pieces_of(data: bytes) -> list[Piece] | None:
    """Return the fields of a message, None for bytes that are no message without groups."""
    pieces = []
    at = 0
    while at < len(data):
        start = at
        read = _varint_at(data, at)
        if read is None:
            return None
        tag, at = read
        number, wire_type = tag >> 3, tag & 7
        if wire_type in (0, 2):
            read = _varint_at(data, at)
            if read is None:
                return None
            value, at = read
            at += value if wire_type == 2 else 0
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        else:
            return None
        if at > len(data):
            return None
        pieces.append((number, wire_type, data[start:at]))
    return pieces


def _varint_at(data: bytes, at: int) -> tuple[int, int] | None:
    value = 0
    for index in range(10):
        if at + index >= len(data):
            return None
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return None


def _payload(piece: Piece) -> bytes:
    """Return the payload of a field with a length."""
    _, at = _varint_at(piece[2], 0) or (0, 0)
    _, at = _varint_at(piece[2], at) or (0, 0)
    return piece[2][at:]


def _changed_fields(data: bytes, depth: int, random: Random) -> bytes:
    """Change a field of a message, of its batch (depth 1), or of an item of the batch (depth 2)."""
    pieces = pieces_of(data)
    if not pieces:
        return _changed_bytes(data, random)
    written = [piece[2] for piece in pieces]
    index = random.randrange(len(pieces))
    if depth:
        inner = [at for at, piece in enumerate(pieces) if piece[1] == 2 and piece[0] in (2, 3)]
        if inner:
            index = random.choice(inner)
            changed = _changed_fields(_payload(pieces[index]), depth - 1, random)
            written[index] = field(pieces[index][0], changed)
            return b"".join(written)
    random.choice(_FIELD_CHANGES)(written, index, pieces[index], random)
    return b"".join(written)


def _repeat(written: list[bytes], index: int, _: Piece, random: Random) -> None:
    written.insert(random.randrange(len(written) + 1), written[index])


def _reorder(written: list[bytes], _: int, __: Piece, random: Random) -> None:
    random.shuffle(written)


def _add_unknown(written: list[bytes], index: int, _: Piece, random: Random) -> None:
    number = random.choice((12, 15, 16, 99, 2**29 - 1, 0, 2**29, 19_000))
    unknown = (
        varint(number << 3) + varint(random.choice((0, 5, -1))),
        field(number, b"abc"),
        varint(number << 3 | 1) + bytes(8),
        varint(number << 3 | 5) + bytes(4),
        varint(number << 3 | 6),
    )
    written.insert(index, random.choice(unknown))


def _add_group(written: list[bytes], index: int, _: Piece, random: Random) -> None:
    number = random.choice((1, 2, 3, 12, 99))
    group = varint(number << 3 | 3) + random.choice((b"", b"\x08\x05")) + varint(number << 3 | 4)
    broken = (group, group[:-1], varint(number << 3 | 4), group * 2)
    written.insert(index, random.choice(broken))


def _lengthen_numbers(written: list[bytes], index: int, piece: Piece, random: Random) -> None:
    number, wire_type, data = piece
    spare = random.choice((1, 2, 4, 9))
    if wire_type == 2:
        payload = _payload(piece)
        written[index] = (
            varint(number << 3 | 2, spare=random.choice((0, 1, 3)))
            + varint(len(payload), spare=spare)
            + payload
        )
    elif wire_type == 0:
        value, _ = _varint_at(data, len(varint(number << 3))) or (0, 0)
        written[index] = varint(number << 3) + varint(value, spare=spare)


def _change_number(written: list[bytes], index: int, piece: Piece, random: Random) -> None:
    if piece[1] == 0:
        values = (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1, 2**32 + 1, 2**63, 2**64 - 1, -1)
        written[index] = varint(piece[0] << 3) + varint(random.choice(values))


def _change_wire_type(written: list[bytes], index: int, piece: Piece, random: Random) -> None:
    tag = varint(piece[0] << 3 | random.choice((0, 1, 2, 3, 4, 5, 6, 7)))
    written[index] = tag + piece[2][len(varint(piece[0] << 3)) :]


def _change_length(written: list[bytes], index: int, piece: Piece, random: Random) -> None:
    if piece[1] == 2:
        payload = _payload(piece)
        lengths = (
            0,
            1,
            len(payload) - 1,
            len(payload) + 1,
            2**31 - 1,
            2**31,
            2**32,
            2**63,
            2**64 - 1,
        )
        written[index] = varint(piece[0] << 3 | 2) + varint(random.choice(lengths)) + payload  # fmt: skip


def _break_text(written: list[bytes], index: int, piece: Piece, random: Random) -> None:
    if piece[1] == 2:
        payload = _payload(piece)
        at = random.randrange(len(payload) + 1)
        broken = payload[:at] + random.choice(_NOT_UTF8) + payload[at:]
        written[index] = field(piece[0], broken)


def _remove(written: list[bytes], index: int, _: Piece, __: Random) -> None:
    del written[index]


def _empty(written: list[bytes], index: int, piece: Piece, _: Random) -> None:
    written[index] = field(piece[0], b"") if piece[1] == 2 else varint(piece[0] << 3) + b"\x00"


def _renumber(written: list[bytes], index: int, piece: Piece, random: Random) -> None:
    tag = varint(random.randrange(1, 13) << 3 | piece[1])
    written[index] = tag + piece[2][len(varint(piece[0] << 3)) :]


_FIELD_CHANGES: tuple[Callable[[list[bytes], int, Piece, Random], None], ...] = (
    _repeat,
    _reorder,
    _add_unknown,
    _add_group,
    _lengthen_numbers,
    _change_number,
    _change_wire_type,
    _change_length,
    _break_text,
    _remove,
    _empty,
    _renumber,
)
