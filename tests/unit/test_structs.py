"""A Struct is read as long as its JSON fits into an event."""

import time
from typing import Any

import pytest
from ciosidecar_server.rpc.structs import StructReader
from ciosidecar_transform import EventRejected
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=40,
)


def struct_of(members: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(members)
    return struct


@given(st.dictionaries(st.text(max_size=4), VALUES))
def test_what_fits_is_read(members: dict[str, Any]) -> None:
    """An event that is no larger than the limit is never rejected for the size of its Struct."""
    assert StructReader(len(encode(members))).read(struct_of(members)) == members


@pytest.mark.parametrize(
    "members",
    [
        {f"key{number}": number for number in range(1_000)},
        {"k" * 5_000: 1},
        {"a": [1] * 2_500},
        {"a": [{"b": [[number] * 10]} for number in range(250)]},
    ],
)
def test_what_cannot_fit_is_rejected(members: dict[str, Any]) -> None:
    """By its members, its names or its elements, and before the rest is read."""
    with pytest.raises(EventRejected, match="more than 4000 bytes"):
        StructReader(4_000).read(struct_of(members))


def test_the_rejection_costs_less_than_reading() -> None:
    """Of ten times as many members, in CPU time."""
    few = struct_of({f"key{number}": number for number in range(6_000)})
    many = struct_of({f"key{number}": number for number in range(60_000)})
    begun_s = time.process_time()
    StructReader(1_000_000).read(few)
    read_s = time.process_time() - begun_s
    with pytest.raises(EventRejected):
        StructReader(100_000).read(many)
    assert time.process_time() - begun_s - read_s < read_s
