"""Callers in four languages stream with delivery through Envoy, while sidecars and Envoy come and go.

What is checked is in judging.py: each event is answered once, and each is at Customer.io once and in the order of its
person. An event arrives again only if it was under way when a process ended; Customer.io knows its id then.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import proxy
from .callers import Caller, calling, finish, stream_on
from .fleet import now
from .judging import Faults, problems, too_long
from .standing import Standing, standing

# The programs may have to be built first.
pytestmark = [pytest.mark.usefixtures("_drivers"), pytest.mark.timeout(900)]

# The time that Envoy's parent process has after a hot restart. By default it is 15 minutes.
HOT_RESTART = ("--drain-time-s", "1", "--parent-shutdown-time-s", "2")


def _played(
    directory: Path,
    play: Callable[[Standing, list[Caller], Faults], None],
    *options: str,
) -> list[Caller]:
    """Return the callers, once they have streamed through what `play` does."""
    with standing(directory, *options) as stands:
        faults = Faults()
        with calling(stands.opening()) as callers:
            stream_on(callers, 50)
            undisturbed_until = now()
            play(stands, callers, faults)
            finish(callers)
        found = problems(callers, stands.fleet.arrivals(), faults)
    assert not found, "\n".join(found[:20])
    assert not (found := too_long(callers, undisturbed_until)), found
    return callers


def _ended_one_by_one(number: signal.Signals, *, drain: bool) -> Callable[..., None]:
    """Return what ends each sidecar and starts it again: no stream is left where it began."""

    def play(stands: Standing, callers: list[Caller], faults: Faults) -> None:
        for sidecar in stands.fleet.sidecars:
            stands.envoy.wait_until_healthy(3)
            with faults.fault(drain=drain):
                sidecar.end(number)
            stream_on(callers, 20)
            sidecar.start()

    return play


def _reconnects(callers: list[Caller]) -> Iterator[int]:
    return (caller.record.end["reconnects"] for caller in callers)


def test_a_killed_sidecar_costs_no_event(tmp_path: Path) -> None:
    """SIGKILL ends one sidecar after another; the others take its streams over."""
    callers = _played(tmp_path, _ended_one_by_one(signal.SIGKILL, drain=False))
    assert all(_reconnects(callers))


def test_a_draining_sidecar_costs_no_event(tmp_path: Path) -> None:
    """SIGTERM ends one sidecar after another; each answers what it has and its streams move."""
    callers = _played(tmp_path, _ended_one_by_one(signal.SIGTERM, drain=True))
    assert all(_reconnects(callers))


def test_a_second_envoy_takes_over_from_one_that_drains(tmp_path: Path) -> None:
    """Both listen on one port. Streams stay with the draining Envoy until it ends, and then move."""

    def play(stands: Standing, callers: list[Caller], faults: Faults) -> None:
        with proxy.running(stands.configuration, stands.directory / "second") as second:
            second.wait_until_healthy(3)
            stands.envoy.post("/drain_listeners?graceful&skip_exit")
            stream_on(callers, 20)
            assert sum(second.active_calls().values()) == 0
            with faults.fault():
                stands.envoy.end()
            stream_on(callers, 20)
            second.wait_for_calls(len(callers))
            # Before the second one ends.
            finish(callers)

    _played(tmp_path, play)


def test_a_hot_restart_hands_the_listener_over(tmp_path: Path) -> None:
    """A new Envoy takes the listening socket of the old one, which ends by itself."""
    base_id = tmp_path / "base-id"

    def play(stands: Standing, callers: list[Caller], faults: Faults) -> None:
        options = ("--base-id", base_id.read_text(), "--restart-epoch", "1", *HOT_RESTART)
        with contextlib.ExitStack() as stack:
            # The old one may end as soon as the new one has started.
            with faults.fault():
                second = proxy.running(stands.configuration, stands.directory / "second", *options)
                stack.enter_context(second)
                assert stands.envoy.process.wait(proxy.ENDS_WITHIN_S) == 0
            stream_on(callers, 20)
            finish(callers)

    options = ("--use-dynamic-base-id", "--base-id-path", str(base_id), *HOT_RESTART)
    callers = _played(tmp_path, play, *options)
    assert all(_reconnects(callers))
