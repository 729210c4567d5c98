"""When a workspace counts as slow, or as hanging, with a clock set by hand."""

import pytest
from ciosidecar_server.delivery.latency import Latency


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def answer(latency: Latency, clock: Clock, took_s: float) -> None:
    """A request is sent, and answered so much later."""
    sent_at = clock.now
    clock.now += took_s
    latency.on_response(sent_at)


def test_an_unused_workspace_is_neither_slow_nor_hanging(clock: Clock) -> None:
    """Nothing is known of it."""
    latency = Latency(clock)
    assert (latency.known, latency.average_s) == (False, None)
    assert not latency.slow(None)
    assert not latency.hangs(None)


def test_the_first_response_is_the_average_and_each_later_one_moves_it_by_a_fifth(
    clock: Clock,
) -> None:
    """2 s, then 0 s four times: below a second at last."""
    latency = Latency(clock)
    averages = []
    slow = []
    for took_s in (2.0, 0.0, 0.0, 0.0, 0.0):
        answer(latency, clock, took_s)
        averages.append(latency.average_s)
        slow.append(latency.slow(None))
    assert averages == pytest.approx([2.0, 1.6, 1.28, 1.024, 0.8192])
    assert slow == [True, True, True, True, False]
    assert latency.known


def test_a_second_without_a_response_is_a_hang(clock: Clock) -> None:
    """Since the request was sent, or since the last response to another one."""
    latency = Latency(clock)
    sent_at = clock.now
    clock.now += 1.0
    assert not latency.slow(sent_at)
    clock.now += 0.1
    assert latency.hangs(sent_at)
    assert latency.slow(sent_at)
    assert not latency.slow(None)
    latency.on_response(clock.now)
    assert not latency.hangs(sent_at)
    clock.now += 1.1
    assert latency.hangs(sent_at)
