"""One target under libFuzzer, with the branches of the product's own code as its guide.

.venv/bin/python -m tests.fuzz.engine TARGET [arguments of libFuzzer]; `.venv/bin/python -m tests.fuzz` starts it.
"""

import logging
import sys

import atheris

from .corpus import inputs
from .mutator import JsonMutator

_INSTRUMENTED = ["ciosidecar_transform", "ciosidecar_server.delivery"]


def main() -> None:
    """Run a target until libFuzzer ends."""
    # What is imported inside is instrumented, so the targets are imported here.
    with atheris.instrument_imports(include=_INSTRUMENTED):
        from .targets import TARGETS  # noqa: PLC0415

    logging.disable(logging.WARNING)
    target, *arguments = sys.argv[1:]
    mutator = JsonMutator(path.read_bytes() for path in inputs(target))

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        changed = mutator.mutated(data, seed) if seed % 3 else None
        if changed is None or len(changed) > max_size:
            return bytes(atheris.Mutate(data, max_size))
        return changed

    atheris.Setup([sys.argv[0], *arguments], TARGETS[target], custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
