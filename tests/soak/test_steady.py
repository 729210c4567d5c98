"""A short soak: a sound server passes, and a server that leaks on purpose fails."""

import pytest

from tests.soak.steady import steady_life

SECONDS = 12


@pytest.mark.parametrize(
    ("leak", "told"),
    [
        ({"LEAK": "memory", "LEAK_BYTES": "1024"}, "memory_bytes by events"),
        ({"LEAK": "descriptor"}, "descriptors by streams"),
        ({"LEAK": "task"}, "tasks by streams"),
        ({"LEAK": "thread"}, "threads by streams"),
    ],
    ids=["memory", "descriptor", "task", "thread"],
)
def test_a_leak_is_found(leak: dict[str, str], told: str) -> None:
    """A kilobyte an event, or one of the others a stream."""
    faults = steady_life(SECONDS, 1, **leak).faults
    assert any(fault.startswith(f"leak: {told}") for fault in faults), faults


def test_a_sound_server_does_not_leak() -> None:
    """Transforms, deliveries, broken streams and strays leave nothing, and no line in the log."""
    life = steady_life(SECONDS, 1)
    assert not life.faults
    assert life.tally.answered > 1_000
