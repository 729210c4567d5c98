"""The table of scenarios and languages, after the tests."""

from typing import Any

from .languages import LANGUAGES
from .scenarios import SCENARIOS

_MARKS = {"passed": "✓", "failed": "✗", "skipped": "-"}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a line for each scenario: ✓ passed, ✗ failed, - not applicable or not here."""
    outcomes: dict[tuple[str, str], str] = {}
    for outcome, mark in _MARKS.items():
        for report in terminalreporter.getreports(outcome):
            _, _, names = report.nodeid.partition("test_polyglot.py::test_scenario[")
            if names:
                scenario, _, language = names.removesuffix("]").rpartition("-")
                outcomes[scenario, language] = mark
    if not outcomes:
        return
    width = max(len(scenario.name) for scenario in SCENARIOS)
    names = [language.name for language in LANGUAGES]
    terminalreporter.section("scenarios")
    terminalreporter.write_line(" " * width + "".join(f"{name:>12}" for name in names))
    for scenario in SCENARIOS:
        marks = (outcomes.get((scenario.name, name), " ") for name in names)
        terminalreporter.write_line(
            f"{scenario.name:<{width}}" + "".join(f"{mark:>12}" for mark in marks)
        )
