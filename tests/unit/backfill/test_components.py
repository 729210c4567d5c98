"""The components of linked keys: the same whatever the order of the links."""

import random
from pathlib import Path

from ciosidecar_server.backfill.components import ROOTS, Components, Roots
from ciosidecar_server.backfill.files import work_path
from ciosidecar_server.backfill.keys import hash_of

LINKS = [(1, 2), (2, 3), (10, 11), (12, 11), (3, 20), (2**64 - 1, 2**63)]
ROOT_OF = {1: 1, 2: 1, 3: 1, 20: 1, 10: 10, 11: 10, 12: 10, 2**63: 2**63, 2**64 - 1: 2**63, 7: 7}


def test_the_smallest_key_stands_for_its_component_in_any_order() -> None:
    """Links in 50 orders and both directions."""
    choice = random.Random(1)
    for _ in range(50):
        links = [pair if choice.random() < 0.5 else pair[::-1] for pair in LINKS]
        choice.shuffle(links)
        components = Components()
        for one, other in links:
            components.link(one, other)
        assert {number: components.root(number) for number in ROOT_OF} == ROOT_OF


def test_a_long_chain_has_one_root() -> None:
    """Linked from its large end, the worst order."""
    components = Components()
    for number in range(200_000, 0, -1):
        components.link(number, number - 1)
    assert components.root(200_000) == 0


def test_written_roots_are_found_again(tmp_path: Path) -> None:
    """Without links too, and keys of 64 bits."""
    path = work_path(str(tmp_path), ROOTS)
    path.parent.mkdir()
    components = Components()
    components.write(path)
    with Roots(str(tmp_path)) as roots:
        assert roots.root(5) == 5
    for one, other in LINKS:
        components.link(one, other)
    components.write(path)
    with Roots(str(tmp_path)) as roots:
        assert {number: roots.root(number) for number in ROOT_OF} == ROOT_OF


def test_hashes_are_the_same_in_every_release() -> None:
    """A checkpoint depends on them; Python's own hash differs in each process."""
    assert hash_of(b"u1") == 15378189911849802130
