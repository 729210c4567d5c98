"""How many examples a property tries: a fixed number in CI, FUZZ_EXAMPLES with `make fuzz`."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import settings


def examples(in_ci: int) -> Callable[[Any], Any]:
    """Return a decorator that sets the number of examples."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz":
        return lambda test: test
    return settings(max_examples=in_ci)
