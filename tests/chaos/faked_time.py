"""A wall clock that a test moves while a server runs, by libfaketime. The monotonic clock stays the system's."""

import os
from pathlib import Path

import pytest

_LIBRARY = "libfaketimeMT.so.1"


class WallClock:
    """The wall clock of the processes that are started with `environment`."""

    def __init__(self, directory: Path) -> None:
        """Begin with the system's time. Skips the test without libfaketime."""
        self._file = directory / "faketime"
        self.step(0)
        self.environment = os.environ | {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Files keep their times: a step of the clock changes no file.
            "NO_FAKE_STAT": "1",
        }

    def step(self, seconds: int) -> None:
        """Let the clock be so many seconds before, or behind, the system's from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)


def _library() -> str:
    """Return the path of libfaketime. With REQUIRE_ALL set, fail the test without it."""
    found = sorted(Path("/usr/lib").glob(f"*/faketime/{_LIBRARY}"))
    if not found:
        skip = pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip
        skip(f"there is no {_LIBRARY}: install faketime")
    return str(found[0])
