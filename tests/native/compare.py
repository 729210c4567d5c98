"""Compare the compiled functions with their twins in Python on random, hostile input.

.venv/bin/python -m tests.native.compare [TARGET ...] [--cases 1000000] [--seed N] [--jobs 2]

The targets that are named share the cases equally; without a name, all. Exits with 1 at the first
difference, and prints its input.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from random import Random
from time import perf_counter
from typing import Any

from ciosidecar_transform import native

from tests.arguments import parser_of, positive_int, require_known
from tests.endings import exit_with

from .events import some_event
from .implementations import behaviour, compiled, in_python
from .leaves import LEAVES

_NOW_S = 1_704_164_645
_EVENTS = "events"
_PORTION = 5_000
TARGETS = (*(leaf.name for leaf in LEAVES), _EVENTS)
_BY_NAME = {leaf.name: leaf for leaf in LEAVES}


def differences(target: str, cases: int, seed: int, portion: int = 0) -> str:
    """Return the first input on which the two differ and what each made of it, "" if they agree.

    Args:
        target: The name of a leaf, or events: the whole transform.
        cases: The number of inputs to try.
        seed: Of the inputs: the same number gives the same.
        portion: Of the inputs of a seed: another number gives others.
    """
    random = Random(f"{target} {seed} {portion}")
    for _ in range(cases):
        if target == _EVENTS:
            given: tuple[Any, ...] = some_event(random)
            both = _transformed(compiled(""), *given), _transformed(in_python(""), *given)
        else:
            leaf = _BY_NAME[target]
            given = leaf.arguments(random)
            both = (
                behaviour(getattr(compiled(leaf.module), leaf.name), *given),
                behaviour(getattr(in_python(leaf.module), leaf.name), *_for_python(given)),
            )
        if both[0] != both[1]:
            return f"{target} of {given!r}:\n  compiled: {both[0]}\n  Python:   {both[1]}"
    return ""


def _for_python(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with the classes of the second copy of the transform."""
    vast = compiled("json_text").VastNumber
    own = in_python("json_text").VastNumber
    return tuple(own(part.literal) if isinstance(part, vast) else part for part in given)


def _transformed(package: Any, event: bytes, config: bytes) -> tuple[str, str]:
    destination, _ = package.read_destination(config)
    if destination is None:
        return "no destination", ""
    return behaviour(lambda: package.transform(event, destination, now=_NOW_S))


def main() -> int:
    """Compare. Return 1 at the first difference."""
    parser = parser_of("tests.native.compare", __doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument(
        "--cases", type=positive_int, default=1_000_000, help="of all targets together"
    )
    parser.add_argument("--seed", type=int, default=16, help="another number tries other inputs")
    parser.add_argument("--jobs", type=positive_int, default=1, help="processes that share them")
    options = parser.parse_args()
    require_known(parser, "target", options.targets, TARGETS)
    if native.module is None:
        print(f"there is nothing to compare: {native.reason}")
        return 1
    targets = options.targets or TARGETS
    cases = max(1, options.cases // len(targets))
    sizes = list(_portions(cases))
    with ProcessPoolExecutor(options.jobs, initializer=end_on_ctrl_c) as pool:
        for target in targets:
            began = perf_counter()
            found = pool.map(
                differences, repeat(target), sizes, repeat(options.seed), range(len(sizes))
            )
            if problem := next(filter(None, found), ""):
                pool.shutdown(cancel_futures=True)
                print(f"DIFFERENT {problem}")
                return 1
            print(f"{target}: {cases} cases agree ({perf_counter() - began:.0f} s)", flush=True)
    return 0


def _portions(cases: int) -> Iterator[int]:
    """Yield the cases of each portion. They do not depend on the number of processes, so neither do the inputs."""
    while cases > 0:
        yield min(cases, _PORTION)
        cases -= _PORTION


if __name__ == "__main__":
    exit_with(main)
