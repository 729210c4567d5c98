"""The long form of the properties: new examples, for so many minutes, until one fails (`make fuzz`).

.venv/bin/python -m tests.properties [--minutes 20] [--seed N] [--only NAME]

The first round tries 10 examples of each property, and each further one twice as many, up to 300. Once the minutes are
over, no further property is begun. One that is under way goes on; one that fails is given five minutes to shrink its
example.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.arguments import parser_of, positive, positive_int
from tests.endings import exit_with, run_child

MOST_EXAMPLES = 300
"""So few that a round over all properties takes minutes, and a seed replays what it found."""
_FIRST_EXAMPLES = 10
_NONE_FOUND = pytest.ExitCode.NO_TESTS_COLLECTED
_HERE = Path(__file__).parent


def main() -> int:
    """Run rounds of all properties, each with a seed of its own. Return 1 if an example failed."""
    parser = parser_of("tests.properties", __doc__)
    parser.add_argument("--minutes", type=positive, default=20, help="20 unless given")
    parser.add_argument("--seed", type=int, help="run one round with this seed: replays a failure")
    parser.add_argument(
        "--examples",
        type=positive_int,
        default=MOST_EXAMPLES,
        help=f"of each property at most; {MOST_EXAMPLES} unless given",
    )
    parser.add_argument("--only", default="", help="the properties with this in their name")
    options = parser.parse_args()
    if options.seed is not None:
        return _replayed(options.seed, options.examples, options.only)
    until, rounds = time.time() + options.minutes * 60, 0
    examples = min(_FIRST_EXAMPLES, options.examples)
    while time.time() < until:
        seed = random.SystemRandom().randrange(2**32)
        ended = _round(seed, examples, options.only, until)
        rounds += 1
        if ended.returncode == _NONE_FOUND:
            return _no_property(options.only)
        if ended.returncode:
            only = f" --only {options.only}" if options.only else ""
            print(f"\nround {rounds} failed. To replay it:")
            print(
                f"  .venv/bin/python -m tests.properties --seed {seed} --examples {examples}{only}",
                flush=True,
            )
            return 1
        print(f"round {rounds}: seed {seed}, {examples} examples of each of {_tried(ended.stdout)}")
        sys.stdout.flush()
        examples = min(2 * examples, options.examples)
    return 0


def _tried(output: str) -> str:
    """Return how many properties a round tried, and how many had no time, by the summary of pytest."""
    numbers = {word: int(number) for number, word in re.findall(r"(\d+) (passed|skipped)", output)}
    left_out = numbers.get("skipped", 0)
    text = f"{numbers.get('passed', 0)} properties, none failed"
    return text + (f"; no time for {left_out} more" if left_out else "")


def _replayed(seed: int, examples: int, only: str) -> int:
    code = _round(seed, examples, only).returncode
    if code == 0:
        print(f"seed {seed}: none failed")
    return _no_property(only) if code == _NONE_FOUND else code


def _no_property(only: str) -> int:
    print(f'There is no property with "{only}" in its name.', file=sys.stderr)
    return 2


def _round(
    seed: int, examples: int, only: str, until: float | None = None
) -> "subprocess.CompletedProcess[Any]":
    environment = os.environ | {"HYPOTHESIS_PROFILE": "fuzz", "FUZZ_EXAMPLES": str(examples)}
    if until is not None:
        environment["FUZZ_UNTIL"] = str(until)
    command = [sys.executable, "-m", "pytest", str(_HERE), "-q", "--timeout", "0", "--no-header"]
    command += ["--show-capture", "no", "--hypothesis-seed", str(seed)]
    if only:
        command += ["-k", only]
    pipe = subprocess.PIPE
    run = run_child(command, env=environment, stdout=pipe, stderr=pipe, text=True)
    if run.returncode not in (0, _NONE_FOUND):
        print(run.stdout[-20_000:], run.stderr[-2_000:], sep="\n")
    return run


if __name__ == "__main__":
    exit_with(main)
