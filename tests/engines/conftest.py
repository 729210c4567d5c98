"""The time limit of tests that start engines."""

from pathlib import Path

import pytest

# The first test of a file also waits for the engines, which a busy machine starts in minutes. It bounds a test that hangs.
LIMIT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here the limit that has none of its own."""
    for item in items:
        is_here = item.path.is_relative_to(Path(__file__).parent)
        if is_here and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))
