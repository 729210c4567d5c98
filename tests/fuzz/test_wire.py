"""Broken HTTP/2 and broken protobuf at a real server: it lives, and no other caller notices."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest

from .wire.http2_attacks import ATTACKS
from .wire.messages import (
    BREAKS,
    METHODS,
    check_broken_envelope,
    check_broken_message,
    good_message,
)
from .wire.peer import Gone, Peer
from .wire.watched import Watched, watched_server


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """One server for all attacks: what one leaves behind, the next would meet."""
    with watched_server() as running:
        yield running


@pytest.mark.parametrize("name", ATTACKS)
def test_broken_http2_harms_nobody(watched: Watched, name: str) -> None:
    """Two forms of each attack."""
    with watched.unharmed():
        for seed in range(2):
            with Peer(watched.address) as peer, suppress(Gone):
                ATTACKS[name](peer, Random(seed))


@pytest.mark.parametrize("name", BREAKS)
def test_broken_protobuf_is_the_callers_own_fault(watched: Watched, name: str) -> None:
    """Each way to break a message, in each call: INVALID_ARGUMENT if it cannot be read, never INTERNAL."""
    random = Random(name)
    with watched.unharmed():
        for path in METHODS:
            for _ in range(4):
                broken = BREAKS[name](good_message(path, random), random)
                check_broken_message(watched.address, path, broken)


def test_broken_envelopes_fail_their_own_call(watched: Watched) -> None:
    """A wrong flag, length or compression of a message; a bomb."""
    random = Random(0)
    with watched.unharmed():
        for _ in range(25):
            check_broken_envelope(watched.address, random)
