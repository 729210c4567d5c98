"""Calls of an engine, in a process of its own: `.venv/bin/python -m tests.engines.engine_calls ray|spark`."""

import os
import signal
import sys
import time
from contextlib import closing

from ciosidecar_server.backfill.engines.choice import EngineOptions, make_engine
from ciosidecar_server.backfill.errors import BackfillFailed


def square(number: int) -> int:
    """Succeed, but for 7."""
    if number == 7:
        raise BackfillFailed("partition 7: KeyError: 'colour'")
    return number * number


def last_long(number: int) -> int:
    """Last for ten minutes, but for 0."""
    for _ in range(6000 if number else 0):
        time.sleep(0.1)
    return number


def die(_number: int) -> None:
    """Kill the worker of the task each time."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(name: str) -> None:
    """Print what becomes of some tasks."""
    said = []
    with closing(make_engine(EngineOptions(engine=name, workers=2))) as engine:  # type: ignore[arg-type]
        assert sorted(engine.run(square, range(7))) == [0, 1, 4, 9, 16, 25, 36]
        try:
            list(engine.run(square, [7]))
        except BackfillFailed as failure:
            said.append(f"failed: {failure}")
        results = engine.run(last_long, range(4))
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
        try:
            list(engine.run(die, [1]))
        except BackfillFailed as failure:
            said.append(f"lost: {failure}")
    print("\n".join(said))


if __name__ == "__main__":
    main(sys.argv[1])
