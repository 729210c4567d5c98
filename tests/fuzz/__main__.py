"""The long form of the fuzzer: new inputs for each target, for so many minutes, until one breaks a promise.

.venv/bin/python -m tests.fuzz [TARGET ...] [--minutes 20] [--seed N]

Targets: event, config, connection, prepared, response, exchange (bytes, tried by libFuzzer), wire (broken protobuf and
broken HTTP/2 at a real server), properties (tests/properties). The targets that are named share the minutes
equally. Without a name, the properties have half of them, the wire a quarter, and the others share the rest.
What is under way at the end of its share is not cut: a property, a round of the wire. To start all targets takes about
a minute more.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.arguments import parser_of, positive, require_known
from tests.endings import exit_with, run_child

from .corpus import FOUND, inputs
from .targets import TARGETS
from .wire import rounds

# The most bytes of an input; tests/resources has longer ones.
_MAX_BYTES = 8_192
_RUNS = re.compile(r"Done (\d+) runs in (\d+) second")
_SHARES = {"properties": 0.5, "wire": 0.25} | dict.fromkeys(TARGETS, 0.25 / len(TARGETS))


def main() -> int:
    """Fuzz the targets. Return 1 if an input broke a promise."""
    parser = parser_of("tests.fuzz", __doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(_SHARES))
    parser.add_argument("--minutes", type=positive, default=20, help="of all targets together")
    parser.add_argument(
        "--seed", type=int, help="run one round of wire with this seed: replays a failure"
    )
    options = parser.parse_args()
    require_known(parser, "target", options.targets, _SHARES)
    if options.seed is not None and options.targets != ["wire"]:
        parser.error("--seed replays a round of the wire: name that target, and no other")
    shares = dict.fromkeys(options.targets, 1 / max(1, len(options.targets))) or _SHARES
    return max(
        [
            _fuzz(target, options.minutes * 60 * share, options.seed)
            for target, share in shares.items()
        ]
    )


def _fuzz(target: str, seconds: float, seed: int | None) -> int:
    if target == "wire":
        return rounds.run(seconds, seed)
    if target == "properties":
        command = [sys.executable, "-m", "tests.properties", "--minutes", str(seconds / 60)]
        return run_child(command).returncode
    return _fuzz_bytes(target, max(1, round(seconds)))


def _fuzz_bytes(target: str, seconds: int) -> int:
    if find_spec("atheris") is None:
        print(f"SKIPPED: {target}: there is no atheris for this Python on this machine")
        return 0
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as grown:
        for path in inputs(target):
            (Path(grown) / path.name).write_bytes(path.read_bytes())
        command = [sys.executable, "-m", "tests.fuzz.engine", target, grown]
        command += [f"-max_total_time={seconds}", f"-max_len={_MAX_BYTES}", "-timeout=30"]
        command += [f"-artifact_prefix={found}/"]
        run = run_child(command, stderr=subprocess.PIPE)
        kept = len(list(Path(grown).iterdir()))
    report = run.stderr.decode("utf-8", "replace")
    if run.returncode:
        print(report[-8_000:])
        print(f"{target}: an input broke a promise. To replay it:")
        print(f"  .venv/bin/pytest tests/fuzz/test_corpus.py -k {target}", flush=True)
        return 1
    runs = _RUNS.search(report)
    print(f"{target}: {runs[1] if runs else '?'} inputs in {seconds} s, {kept} kept, none failed")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    exit_with(main)
