"""A crash leaves no core file, because the memory of a sidecar has events and keys in it."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import COMMAND, TIMEOUT_S

LISTEN = ("--listen", "127.0.0.1:0", "--admin-listen", "none")
_UNLIMITED = 'ulimit -S -c "$(ulimit -H -c)"; exec "$@"'


@contextmanager
def started(
    directory: Path, *words: str, first: bytes = b""
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that may write core files into a directory, as far as the system lets it.

    Args:
        directory: Its current directory.
        words: The command. The block begins when the process has written a line.
        first: What the process reads first.
    """
    with subprocess.Popen(
        ["/bin/sh", "-c", _UNLIMITED, "sh", *words],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(first)
            process.stdin.flush()
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def dumps_core(process: "subprocess.Popen[bytes]") -> bool:
    """Crash a process. Return whether the kernel says that a core was dumped."""
    process.send_signal(signal.SIGQUIT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGQUIT
    return os.WCOREDUMP(status)


@pytest.fixture(autouse=True)
def system_dumps_cores(tmp_path: Path) -> None:
    """Skip where the system itself would write no core file of any process."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("the hard limit of core files is 0 here: no process can write one")
    words = (sys.executable, "-c", "import signal; print(1, flush=True); signal.pause()")
    with started(tmp_path, *words) as process:
        dumped = dumps_core(process)
    for core in tmp_path.glob("core*"):
        core.unlink()
    if not dumped:
        pytest.skip("this system writes no core files: nothing to compare with")


def test_a_crash_of_a_server_leaves_no_core_file(tmp_path: Path) -> None:
    """Although the limit of the process that started it allows one."""
    with started(tmp_path, *COMMAND, "serve", *LISTEN) as process:
        assert not dumps_core(process)
    assert list(tmp_path.iterdir()) == []


def test_core_files_can_be_asked_for(tmp_path: Path) -> None:
    """With --core-dumps the limit is that of the process that started the server."""
    with started(tmp_path, *COMMAND, "serve", "--core-dumps", *LISTEN) as process:
        assert dumps_core(process)


def test_workers_leave_no_core_file(tmp_path: Path) -> None:
    """The limit of the parent is that of its workers."""
    with started(tmp_path, *COMMAND, "serve", *LISTEN, "--workers", "2") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        limits = [soft_limit(int(pid)) for pid in (process.pid, *map(int, children))]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)
    assert limits == ["0", "0", "0"]


def soft_limit(pid: int) -> str:
    """Return the limit of core files of a process."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4]
    raise AssertionError(pid)


def test_a_command_with_events_leaves_no_core_file(tmp_path: Path) -> None:
    """Commands that hold events themselves have the limit too."""
    (tmp_path / "config.json").write_text('{"siteID": "site", "apiKey": "key"}')
    words = (*COMMAND, "transform", "--config", "config.json")
    with started(tmp_path, *words, first=b'{"type": "identify"}\n') as process:
        assert soft_limit(process.pid) == "0"
