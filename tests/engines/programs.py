"""Programs that tests with engines need."""

import os
import shutil

import pytest


def need(program: str, debian: str) -> str:
    """Return the path of a program. Skips the test without it; with REQUIRE_ALL set, fails the test.

    Args:
        program: its name on the PATH.
        debian: the Debian package that brings it.
    """
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not here (Debian: apt-get install {debian})"
        (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)(reason)
        raise AssertionError(reason)
    return path
