"""The command line of the bench: what it offers, what it refuses before it measures, and how it ends."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.parts import PARTS

_WITHIN_S = 100


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the bench to its end."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
    )


Interruptible = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def interruptible() -> Iterator[Interruptible]:
    """Starts the bench; ends it in order with SIGTERM if the test did not see its end."""
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *words]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=_WITHIN_S)


def test_help_teaches() -> None:
    """Help shows how it is called, every part, and where a figure stands in the JSON."""
    run = bench("tests.bench", "--help")
    assert run.returncode == 0
    assert "python -m tests.bench --only service" in run.stdout
    assert "service.SERVER.CALL.SIZE.server_cpu_us" in run.stdout
    for name, part in PARTS.items():
        assert re.search(rf"^  {name} +{re.escape(part.says)}$", run.stdout, re.MULTILINE), name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "nothing"), "invalid choice: 'nothing'"),
        (("--only", "memory", "--svg", "x.svg"), "add --only service"),
        (("--memory-events", "99999"), "must be at least 100000"),
        (("--memory-events", "0"), "0 is not a whole number from 1 on"),
        (("--rounds", "0"), "0 is not a whole number from 1 on"),
        (("--json", "/no/such/directory/x.json"), "there is no directory /no/such/directory"),
        (("--json", "/"), "cannot write /: it is a directory"),
        (("--only", "service", "--markdown", "README.md"), "<!-- bench:service -->"),
        (("--only", "service", "--markdown", "no-such-page.md"), "no-such-page.md"),
    ],
)
def test_what_cannot_work_is_refused_at_once(words: tuple[str, ...], message: str) -> None:
    """A wrong argument is an error of usage before anything is measured."""
    run = bench("tests.bench", *words)
    assert run.returncode == 2
    assert message in run.stderr


@pytest.mark.parametrize("name", ["no-such-revision", "--help-me", ""])
def test_an_unknown_revision_says_what_to_do(name: str) -> None:
    """A revision that does not exist is an error of usage, with where to find one."""
    run = bench("tests.bench.compare", "--", name)
    assert run.returncode == 2
    assert "there is no revision" in run.stderr
    assert "git log" in run.stderr


def test_ctrl_c_ends_the_servers_too(tmp_path: Path, interruptible: Interruptible) -> None:
    """SIGINT while it measures: the exit code is 130, no process is left, and no file is written."""
    file = tmp_path / "figures.json"
    process = interruptible("tests.bench", "--only", "service", "--json", str(file))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("service: "):
            break
    children = _children(process.pid)
    assert len(children) >= 3  # the echo, a sidecar, and what it delivers to
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=_WITHIN_S)
    assert process.returncode == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert not file.exists()


@pytest.mark.parametrize(
    ("part", "line"),
    [("callers", "callers: start to ready"), ("workers", "part 1 of 1, workers: ")],
)
def test_ctrl_c_does_not_wait_for_servers_that_start(
    part: str, line: str, interruptible: Interruptible
) -> None:
    """SIGINT while a server starts, which is no time at which asyncio looks at signals: nothing else is measured."""
    process = interruptible("tests.bench", "--only", part)
    assert process.stderr is not None
    for said in process.stderr:
        if said.startswith(line):
            break
    _until(lambda: _children(process.pid) != [])
    children = _children(process.pid)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=_WITHIN_S)
    assert process.returncode == 130
    assert rest.splitlines() == ["interrupted: the servers are ended, and nothing is written"]
    assert [pid for pid in children if _runs(pid)] == []


def _runs(pid: int) -> bool:
    """Return whether a process has not ended. Init may not have looked at one that has."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in found.split()]


def test_a_comparison_that_is_interrupted_leaves_nothing(
    tmp_path: Path, interruptible: Interruptible, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGINT while the base is set up: the exit code is 130, and no worktree is left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = interruptible("tests.bench.compare", "HEAD")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("compare: setting up")
    _until(lambda: list(tmp_path.glob("*/tree/.venv")))
    assert str(tmp_path) in _worktrees()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=_WITHIN_S)
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in _worktrees()


def _worktrees() -> str:
    command = ("git", "worktree", "list")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _until(happens: object) -> None:
    ends_at = time.monotonic() + _WITHIN_S
    while not happens():  # type: ignore[operator]
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def test_the_json_has_the_documented_keys(tmp_path: Path) -> None:
    """`service.SERVER.CALL.SIZE.server_cpu_us`, as `--help` says; the compiled part only where it is installed."""
    file = tmp_path / "figures.json"
    picture = tmp_path / "service.svg"
    run = bench(
        *("tests.bench", "--only", "service", "--rounds", "1", "--size", "10", "--size", "100"),
        *("--json", str(file), "--svg", str(picture)),
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    service = found["service"]
    assert ("compiled" in service) == ("LEFT OUT: the compiled implementation" not in run.stderr)
    sidecars = [name for name in service if name != "echo"]
    assert "python" in sidecars
    for name in sidecars:
        calls = ("stream", "unary", "stream_v2", "unary_v2", "delivery_v1", "delivery_v2")
        assert sorted(service[name]) == sorted(calls)
    for calls in service.values():
        for by_size in calls.values():
            assert list(by_size) == ["10", "100"]
            assert all(one["server_cpu_us"] > 0 for one in by_size.values())
    assert 0 <= found["machine"]["other_work"]["service"] <= 1
    assert picture.read_text(encoding="utf-8").startswith("<svg")
