"""Try a seeded sample of mutants of the transform and of delivery (`make mutants`).

.venv/bin/python -m tests.mutants [--sample 300] [--seed 15] [--part transform|delivery] [--again] [--map] [--report]

The results are appended to .mutants/, so that a run that was ended goes on where it was. `--again` tries once more those
that survived without an explanation, and `--map` renews the map of lines and tests.
"""

import os
import sys
from importlib.util import find_spec

from tests.arguments import parser_of, positive_int
from tests.endings import exit_with

SEED = 15


def main() -> int:
    """Try what is left of the sample, and write the report."""
    parser = parser_of("tests.mutants", __doc__)
    parser.add_argument("--sample", type=positive_int, default=300)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--part", choices=("transform", "delivery"))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--map", action="store_true")
    parser.add_argument("--report", action="store_true", help="write the report of what was tried")
    options = parser.parse_args()
    if find_spec("cosmic_ray") is None:
        print("There is no cosmic-ray in this Python: make mutants installs it.", file=sys.stderr)
        return 2
    # What is compiled would stand in for the lines that are changed.
    os.environ["CIOSIDECAR_NATIVE"] = "never"
    from .run import run  # noqa: PLC0415 - it imports cosmic-ray

    return run(options)


if __name__ == "__main__":
    exit_with(main)
