"""Which tests run which line: coverage.py's contexts, one for each test function."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from coverage import Coverage, CoverageData

from .parts import KEPT, LEFT_OUT, ROOT, mutated_files

_DATA = KEPT / "contexts"
_TIMES = KEPT / "times"
_CASES = 4
"""As many cases of a function are run for the map; a mutant's trial runs them all."""

Functions = Mapping[str, list[pytest.Item]]


class LineMap(NamedTuple):
    """The test functions of each line, the lines that each function runs, and its CPU time."""

    lines: Mapping[str, Mapping[int, frozenset[str]]]
    sizes: Mapping[str, int]
    cpu_s: Mapping[str, float]

    def tests(self, file: str, lines: Iterable[int]) -> list[str]:
        """Return the functions that run one of the lines; then the other functions of the file.

        Those that run little but this file are first. The others stand in for lines that run only while modules are
        imported, and for cases that the map left out.
        """
        by_line = self.lines.get(file, {})
        nearest = {test for line in lines for test in by_line.get(line, ())}
        in_file = Counter(test for tests in by_line.values() for test in tests)

        def order(test: str) -> tuple[bool, float, str]:
            return test not in nearest, -in_file[test] / self.sizes[test], test

        return sorted(in_file, key=order)


def by_function(items: Iterable[pytest.Item]) -> Functions:
    """Return the cases of each test function, by the function's id."""
    functions: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.path.name in LEFT_OUT:
            continue
        functions.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return functions


def record(functions: Functions, run: Callable[[list[pytest.Item]], None]) -> None:
    """Run some cases of each function, unmutated, and keep which lines they run, beside what was kept before."""
    coverage = Coverage(
        data_file=str(_DATA),
        config_file=False,
        include=[str(ROOT / file) for file in mutated_files()],
    )
    if recorded():
        coverage.load()
    coverage.start()
    times = []
    for function, items in functions.items():
        coverage.switch_context(function)
        began = time.process_time()
        cases = items[:: max(1, len(items) // _CASES)]
        run(cases)
        cpu_s = (time.process_time() - began) * len(items) / len(cases)
        times.append(f"{cpu_s:.4f} {function}\n")
    coverage.stop()
    coverage.save()
    with _TIMES.open("a") as file:
        file.writelines(times)


def recorded() -> bool:
    """Return whether there is a map of an earlier run."""
    return _TIMES.exists()


def missing(functions: Functions) -> Functions:
    """Return the functions that the map does not know."""
    known = read().cpu_s if recorded() else {}
    return {function: items for function, items in functions.items() if function not in known}


def read() -> LineMap:
    """Return the map that `record` kept."""
    data = CoverageData(str(_DATA))
    data.read()
    lines = {
        os.path.relpath(path, ROOT): {
            line: frozenset(filter(None, contexts))
            for line, contexts in data.contexts_by_lineno(path).items()
        }
        for path in data.measured_files()
    }
    rows = (row.split(" ", 1) for row in Path(_TIMES).read_text().splitlines())
    sizes = Counter(t for by_line in lines.values() for tests in by_line.values() for t in tests)
    return LineMap(lines, sizes, {test: float(cpu_s) for cpu_s, test in rows})
