"""A short soak: a sound server passes, and a server that leaks on purpose fails."""

import pytest

from tests.soak.steady import steady_life

pytestmark = pytest.mark.timeout(400)
"""A bound for a life that hangs, not a measure."""

SECONDS = 8
"""The least: 80 samples. The leaks on purpose show that it suffices."""


def told(faults: list[str], leak: str) -> bool:
    """Whether the faults name a leak."""
    return any(fault.startswith(f"leak: {leak}") for fault in faults)


def test_a_leak_of_a_kilobyte_an_event_is_found() -> None:
    """By the memory of each event."""
    faults = steady_life(SECONDS, 1, leak={"LEAK": "memory", "LEAK_BYTES": "1024"}).faults
    assert told(faults, "memory_bytes by events"), faults


def test_a_descriptor_a_task_and_a_thread_for_each_stream_are_found() -> None:
    """Each by its own slope."""
    faults = steady_life(SECONDS, 1, warm_events=0, leak={"LEAK": "descriptor task thread"}).faults
    assert told(faults, "descriptors by streams"), faults
    assert told(faults, "tasks by streams"), faults
    assert told(faults, "threads by streams"), faults


def test_a_sound_server_does_not_leak() -> None:
    """Transforms, deliveries, broken streams and strays leave nothing, and no line in the log."""
    life = steady_life(SECONDS, 1)
    if life.faults and all(fault.startswith("leak: memory_bytes") for fault in life.faults):
        # On a busy machine the first seconds do not suffice to fill the allocator's pools. A leak lasts.
        life = steady_life(5 * SECONDS, 1)
    assert not life.faults
    assert life.tally.answered > 1_000
