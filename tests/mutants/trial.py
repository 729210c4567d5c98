"""The trial of one mutant: a forked process runs its tests until one fails or the time is over."""

import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from .exchange import exchange, forget_and_replace
from .line_map import Functions
from .mutants import Mutant

_CPU_S = 40
"""The CPU time of one process."""
_TEST_S = 90.0
"""The time of one test. pytest's own limit is longer."""
_WALL_S = 300.0
"""The time after which no further test of a mutant begins."""


class Ending(NamedTuple):
    """How a process ended."""

    outcome: str
    """"passed", "failed" or "timed out"."""
    test: str
    """The test that failed, or that ran when the time was over."""


def try_mutant(
    session: pytest.Session, tests: list[str], functions: Functions, mutant: Mutant
) -> Ending:
    """Run the test functions on a mutant, in their order."""

    def run(report: "_Report") -> None:
        if exchange(mutant):
            run_items(session, [item for test in tests for item in functions[test]], report)
            return
        forget_and_replace(mutant)
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        code = pytest.main(
            ["-x", "-q", "-p", "no:cacheprovider", *files], plugins=[_Chosen(tests), report]
        )
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            report.say("failed", "while the tests are imported")

    return in_child(run)


def passes(session: pytest.Session, test: str, functions: Functions) -> bool:
    """Return whether a test passes on the code as it is, now."""
    items = [
        item
        for item in functions.get(test.partition("[")[0], [])
        if item.nodeid == test or "[" not in test
    ]
    return in_child(lambda report: run_items(session, items, report)).outcome == "passed"


def run_items(session: pytest.Session, items: list[pytest.Item], report: "_Report") -> None:
    """Run items, until one fails."""
    plugins = session.config.pluginmanager
    if not plugins.is_registered(report):
        plugins.register(report)
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if report.failed and not report.goes_on:
            return


class _Report:
    """A plugin of the child that tells the parent which test runs, and which fails."""

    def __init__(self, pipe: int, *, goes_on: bool) -> None:
        self._pipe = pipe
        self.failed = False
        self.goes_on = goes_on
        """Whether a failure ends nothing."""

    def say(self, kind: str, test: str = "") -> None:
        """Write a line to the parent."""
        os.write(self._pipe, (json.dumps([kind, test]) + "\n").encode())

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.say("runs", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = True
            self.say("failed", report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.failed:
            self.failed = True
            self.say("failed", f"{report.nodeid} (while it is imported)")


class _Chosen:
    """A plugin that leaves the chosen functions, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self._places = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if self._function(item) in self._places]
        items[:] = sorted(chosen, key=lambda item: self._places[self._function(item)])

    @staticmethod
    def _function(item: pytest.Item) -> str:
        return item.nodeid.partition("[")[0]


def in_child(
    run: Callable[["_Report"], None], *, wall_s: float = _WALL_S, goes_on: bool = False
) -> Ending:
    """Fork, run, and return how that ended. Whatever the child started ends with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setsid()
            if wall_s == _WALL_S:
                resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
            report = _Report(writing, goes_on=goes_on)
            silence = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silence, stream)
            run(report)
            report.say("done")
            code = 0
        except BaseException as fault:  # noqa: BLE001 - a fork must not go on as its parent
            report.say("fault", repr(fault))
        finally:
            os._exit(code)
    os.close(writing)
    try:
        return _ending(reading, wall_s, goes_on=goes_on)
    finally:
        os.close(reading)
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _ending(pipe: int, wall_s: float, *, goes_on: bool) -> Ending:
    """Read what the child says, to its end. A mutant whose tests pass for so long survives."""
    now = time.monotonic()
    until, test_until = now + wall_s, now + max(_TEST_S, wall_s - _WALL_S)
    data, running = b"", ""
    while select.select([pipe], [], [], max(0.0, test_until - time.monotonic()))[0]:
        more = os.read(pipe, 65_536)
        if not more:
            break
        *lines, data = (data + more).split(b"\n")
        for kind, test in map(json.loads, lines):
            if kind == "done":
                return Ending("passed", "")
            if kind == "fault":
                return Ending("failed", running)
            if kind == "failed" and not goes_on:
                return Ending("failed", test)
            if kind == "runs":
                running = test
                now = time.monotonic()
                if now > until:
                    return Ending("passed", "")
                test_until = max(test_until, now + _TEST_S)
    return Ending("timed out", running)
