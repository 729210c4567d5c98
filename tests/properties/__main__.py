"""The long form of the properties: new examples, for so many minutes, until one fails (`make fuzz`).

.venv/bin/python -m tests.properties [--minutes 20] [--seed N] [--only NAME]
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.arguments import positive

# So few that a round over all properties takes minutes, and a seed replays what it found.
EXAMPLES = 300
_NONE_FOUND = pytest.ExitCode.NO_TESTS_COLLECTED
_HERE = Path(__file__).parent


def main() -> int:
    """Run rounds of all properties, each with a seed of its own. Returns 1 if an example failed."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tests.properties", description=__doc__
    )
    parser.add_argument("--minutes", type=positive, default=20)
    parser.add_argument("--seed", type=int, help="run one round with this seed: replays a failure")
    parser.add_argument("--only", default="", help="the properties with this in their name")
    options = parser.parse_args()
    if options.seed is not None:
        return _replayed(options.seed, options.only)
    end, rounds = time.monotonic() + options.minutes * 60, 0
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(2**32)
        code = _round(seed, options.only)
        if code == _NONE_FOUND:
            return _no_property(options.only)
        if code:
            only = f" --only {options.only}" if options.only else ""
            print(f"\nround {rounds + 1} failed. To replay it:")
            print(f"  .venv/bin/python -m tests.properties --seed {seed}{only}")
            return 1
        rounds += 1
        print(f"round {rounds}: seed {seed}, {EXAMPLES} examples of each property, none failed")
    return 0


def _replayed(seed: int, only: str) -> int:
    code = _round(seed, only)
    return _no_property(only) if code == _NONE_FOUND else code


def _no_property(only: str) -> int:
    print(f'There is no property with "{only}" in its name.', file=sys.stderr)
    return 2


def _round(seed: int, only: str) -> int:
    environment = os.environ | {"HYPOTHESIS_PROFILE": "fuzz", "FUZZ_EXAMPLES": str(EXAMPLES)}
    command = [sys.executable, "-m", "pytest", str(_HERE), "-q", "--timeout", "0", "--no-header"]
    command += ["--show-capture", "no", "--hypothesis-seed", str(seed)]
    if only:
        command += ["-k", only]
    run = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if run.returncode not in (0, _NONE_FOUND):
        print(run.stdout[-20_000:], run.stderr[-2_000:], sep="\n")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
