"""The long form of the fuzzer: new inputs for each target, for so many minutes, until one breaks a promise.

python -m tests.fuzz [TARGET ...] [--minutes 20]

Without a target, all of them share the minutes. `wire` sends broken protobuf and broken HTTP/2 at a real server.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from .corpus import CORPUS, FOUND, inputs
from .targets import TARGETS

# The most bytes of an input. What is longer is tried by tests/resources.
_MAX_BYTES = 8_192
_RUNS = re.compile(r"Done (\d+) runs in (\d+) second")


def main() -> int:
    """Fuzz the targets. Return 1 if an input broke a promise."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join([*TARGETS, "wire"]))
    parser.add_argument("--minutes", type=float, default=20, help="of all targets together")
    options = parser.parse_args()
    targets = options.targets or [*TARGETS, "wire"]
    for target in targets:
        if target not in (*TARGETS, "wire"):
            parser.error(f"there is no target {target}")
    seconds = max(1, int(options.minutes * 60 / len(targets)))
    return max([_fuzz(target, seconds) for target in targets])


def _fuzz(target: str, seconds: int) -> int:
    if target == "wire":
        return 0
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as grown:
        for path in inputs(target):
            (Path(grown) / path.name).write_bytes(path.read_bytes())
        command = [sys.executable, "-m", "tests.fuzz.engine", target, grown]
        command += [f"-max_total_time={seconds}", f"-max_len={_MAX_BYTES}", "-timeout=30"]
        command += [f"-artifact_prefix={found}/", "-print_final_stats=0"]
        run = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
        kept = len(list(Path(grown).iterdir()))
    if run.returncode:
        print(run.stderr[-8_000:])
        print(f"{target}: an input broke a promise. To replay it:")
        print(f"  .venv/bin/pytest tests/fuzz/test_corpus.py -k {target}")
        return 1
    runs = _RUNS.search(run.stderr)
    print(f"{target}: {runs[1] if runs else '?'} inputs in {seconds} s, {kept} kept, none failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
