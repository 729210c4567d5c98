"""One run: the mutants of the sample that are not tried yet, each with the tests that reach its lines."""

import argparse
import shutil
import time
from typing import Any

import pytest

from . import line_map, report, results
from .mutants import Mutant, sample
from .parts import KEPT, TESTS, mutated_files, part
from .trial import in_child, passes, run_items, try_mutant

_BUDGET_CPU_S = 6.0
"""The CPU time of one mutant's tests at most. Tests that do not fit are left out, not those after them."""
_FALSE_KILLS = 3


def run(options: argparse.Namespace) -> int:
    """Try what is left of the sample, or write the report. Return 1 if the verdict is bad."""
    mutants = sample(mutated_files(), options.sample, options.seed)
    if not options.report:
        if options.map:
            shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(exist_ok=True)
        tried = results.read(options.seed)
        left = [
            mutant
            for mutant in mutants
            if options.part in (None, part(mutant.file))
            and (
                mutant.name in tried
                and tried[mutant.name].outcome not in results.DEAD
                and mutant.name not in report.explained()
                if options.again
                else mutant.name not in tried
            )
        ]
        trials = _Trials(left, options.seed)
        code = pytest.main(["-q", "-s", "-p", "no:cacheprovider", *TESTS], plugins=[trials])
        if trials.interrupted:
            raise KeyboardInterrupt
        if code:
            return int(code)
        return report.verdict(mutants, results.read(options.seed))
    return report.write(mutants, results.read(options.seed), options.seed)


class _Trials:
    """A plugin that tries mutants in place of running the collected tests."""

    def __init__(self, mutants: list[Mutant], seed: int) -> None:
        self._mutants = mutants
        self._seed = seed
        self.interrupted = False

    def pytest_keyboard_interrupt(self) -> None:
        """Note Ctrl-C: the exit code of pytest is that of an error of collection, too."""
        self.interrupted = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        functions = line_map.by_function(session.items)
        new = line_map.missing(functions)
        if new:
            print(f"the map of lines and tests: {len(new)} functions run once", flush=True)
            ending = in_child(
                lambda child: line_map.record(new, lambda items: run_items(session, items, child)),
                wall_s=7200,
                goes_on=True,
            )
            if line_map.missing(new):
                raise SystemExit(f"no map of lines and tests: {ending}")
        lines = line_map.read()
        for number, mutant in enumerate(self._mutants, 1):
            began = time.monotonic()
            outcome, test = _tried(session, functions, lines, mutant)
            seconds = time.monotonic() - began
            results.append(
                self._seed,
                results.Result(mutant.name, mutant.operator, outcome, test, round(seconds, 1)),
            )
            print(
                f"{number}/{len(self._mutants)} {outcome} in {seconds:.1f} s: {mutant.name} [{test}]",
                flush=True,
            )
        return True


def _tried(
    session: pytest.Session, functions: line_map.Functions, lines: line_map.LineMap, mutant: Mutant
) -> tuple[str, str]:
    """Return what became of a mutant, and the test that says so.

    A test that fails is run again at once, on the code as it is. If it fails there too, the machine is to blame, and the
    mutant is tried without it.
    """
    tests = _within_budget(lines.tests(mutant.file, mutant.lines), lines, functions)
    for _ in range(_FALSE_KILLS):
        if not tests:
            return "no test", ""
        ending = try_mutant(session, tests, functions, mutant)
        if ending.outcome == "passed":
            return "survived", ""
        imported = ending.test.partition("[")[0] not in functions
        if imported or passes(session, ending.test, functions):
            return ("killed" if ending.outcome == "failed" else "timed out"), ending.test
        tests = [test for test in tests if test != ending.test.partition("[")[0]]
    return "undecided", ending.test


def _within_budget(tests: list[str], lines: line_map.LineMap, functions: Any) -> list[str]:
    """Return the first tests, as many as the budget allows, and one at least."""
    chosen: list[str] = []
    cpu_s = 0.0
    for test in tests:
        its_s = lines.cpu_s.get(test, 0.0)
        if test in functions and (not chosen or cpu_s + its_s <= _BUDGET_CPU_S):
            cpu_s += its_s
            chosen.append(test)
    return chosen
