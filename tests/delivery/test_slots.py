"""The connections that all workspaces share: who gets one, and who is woken when one is free."""

import asyncio
from functools import partial

import pytest
from ciosidecar_server.delivery.slots import Slots


def taken(slots: Slots, *, in_doubt: bool) -> int:
    """Let one workspace take as many slots as it gets."""
    number = 0
    while slots.take(number, in_doubt=in_doubt):
        number += 1
    return number


def test_one_workspace_takes_four_fifths_at_most() -> None:
    """Four times as many as are left free; the next one has its part of those."""
    slots = Slots(100)
    assert taken(slots, in_doubt=False) == 80
    assert taken(slots, in_doubt=False) == 16


def test_workspaces_in_doubt_have_half() -> None:
    """The first one half of that half, however many are free; the other half is for those that respond."""
    slots = Slots(100)
    assert taken(slots, in_doubt=True) == 25
    assert taken(slots, in_doubt=True) == 13
    assert sum(taken(slots, in_doubt=True) for _ in range(20)) == 12
    assert taken(slots, in_doubt=False) == 40


def test_a_single_slot_is_for_anybody() -> None:
    """A workspace in doubt has it, too, and gives it back."""
    slots = Slots(1)
    assert slots.take(0, in_doubt=True)
    assert not slots.take(0, in_doubt=False)
    slots.give_back(in_doubt=True)
    assert slots.take(0, in_doubt=True)


@pytest.mark.parametrize("in_doubt", [False, True])
async def test_whoever_waits_is_woken_in_turn(in_doubt: bool) -> None:
    """Sixteen at a time, so that the loop goes on; the others afterwards, although no more requests end."""
    slots = Slots(10)
    assert slots.take(0, in_doubt=in_doubt)
    woken: list[int] = []
    everybody = asyncio.Event()
    for number in range(50):
        slots.wait(partial(woken.append, number), in_doubt=in_doubt)
    slots.wait(everybody.set, in_doubt=in_doubt)
    slots.give_back(in_doubt=in_doubt)
    while not woken:  # noqa: ASYNC110 - a state of the slots, not of this test
        await asyncio.sleep(0)
    assert woken == list(range(16))
    await asyncio.wait_for(everybody.wait(), 10)
    assert woken == list(range(50))


async def test_a_workspace_in_doubt_is_not_woken_for_the_half_of_the_others() -> None:
    """A slot of a workspace that responds is free again; only a slot of its own half is for one in doubt."""
    slots = Slots(4)
    assert [slots.take(0, in_doubt=True) for _ in range(2)] == [True, True]
    assert slots.take(0, in_doubt=False)
    woken: list[str] = []
    everybody = asyncio.Event()
    slots.wait(partial(woken.append, "in doubt"), in_doubt=True)
    slots.wait(partial(woken.append, "responds"), in_doubt=False)
    slots.wait(everybody.set, in_doubt=False)
    slots.give_back(in_doubt=False)
    await asyncio.wait_for(everybody.wait(), 10)
    assert woken == ["responds"]
    slots.give_back(in_doubt=True)
    while len(woken) < 2:  # noqa: ASYNC110 - a state of the slots, not of this test
        await asyncio.sleep(0)
    assert woken == ["responds", "in doubt"]
