"""A long form ends in order: after Ctrl-C, after SIGTERM, and when no process reads what it prints."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

_WITHIN_S = 60
# A long form whose child starts a process of its own. Each says that it runs, and waits.
_LONG_FORM = """
import subprocess, sys, time
from tests.endings import exit_with, run_child
WAITS = "print('{0}', flush=True); import time; time.sleep(600)"
STARTS = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WAITS.format('grandchild')!r}])\\n"
def main():
    run_child([sys.executable, "-c", STARTS + WAITS.format("child")])
exit_with(main)
"""
_PRINTS = """
from tests.endings import exit_with
def main():
    for _ in range(100_000):
        print("a line")
    return 0
exit_with(main)
"""
_NEVER_IMPORTED = """
import time
print("importing", flush=True)
time.sleep(600)
"""


@contextmanager
def _started(
    *command: str, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run a command as a terminal does: in the group of processes that Ctrl-C reaches."""
    pipe = subprocess.PIPE
    words = [sys.executable, *command]
    with subprocess.Popen(
        words, stdout=pipe, stderr=pipe, text=True, start_new_session=True, env=env
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("bench", "grpc"),
        ("bench.compare", "grpc"),
        ("bench.guard", "grpc"),
        ("chaos", "grpc"),
        ("chaos.breaks", "grpc"),
        ("fuzz", "grpc"),
        ("native.compare", "msgspec"),
        ("properties", "pytest"),
        ("resources", "grpc"),
        ("soak", "grpc"),
        ("soak.delivery", "grpc"),
        ("soak.steady", "grpc"),
    ],
)
def test_ctrl_c_ends_a_long_form_that_still_imports(
    module: str, imported: str, tmp_path: Path
) -> None:
    """A package that never finishes its import stands in for one that takes a second. There is no traceback."""
    tmp_path.joinpath(f"{imported}.py").write_text(_NEVER_IMPORTED)
    with _started(
        "-m", f"tests.{module}", env=os.environ | {"PYTHONPATH": str(tmp_path)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=_WITHIN_S) == ("", "")
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_long_form_started_ends_with_it(number: signal.Signals) -> None:
    """The exit code is 130. End of file on stdout shows that no process has kept it."""
    with _started("-c", _LONG_FORM) as process:
        assert process.stdout is not None
        assert sorted(process.stdout.readline() for _ in range(2)) == ["child\n", "grandchild\n"]
        os.killpg(process.pid, number)
        out, errors = process.communicate(timeout=_WITHIN_S)
    assert (process.returncode, out) == (130, "")
    assert errors.endswith("\nended early\n")


def test_a_reader_that_leaves_is_no_traceback() -> None:
    """As with `| head -1`."""
    with _started("-c", _PRINTS) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "a line\n"
        process.stdout.close()
        assert process.wait(_WITHIN_S) == 1
        assert process.stderr.read() == ""


@pytest.mark.serial
@pytest.mark.timeout(400)  # A bound for a soak that hangs, not a measure.
def test_ctrl_c_ends_the_soak_and_its_servers() -> None:
    """It ends once both servers and the sandbox run, whatever the callers do then."""
    marker = f"SOAK_OF_A_TEST_{os.getpid()}_{time.monotonic_ns()}"
    with _started("-m", "tests.soak", env=os.environ | {marker: "1"}) as process:
        assert process.stderr is not None
        assert "10 minutes" in process.stderr.readline()
        until = time.monotonic() + _WITHIN_S
        while len(_with_environment(marker)) < 4:
            assert time.monotonic() < until, _with_environment(marker)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=4 * _WITHIN_S)
    assert process.returncode == 130
    assert not _with_environment(marker)


def _with_environment(marker: str) -> list[str]:
    """Return the command of each process that has inherited a variable."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (process / "environ").read_bytes():
                commands.append((process / "cmdline").read_text())
        except OSError:
            continue  # it ended meanwhile, or belongs to another user
    return commands
