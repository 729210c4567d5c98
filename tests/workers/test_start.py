"""Starts that fail: the reason is said once, the exit code is the worker's, nothing is left."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ciosidecar_server.settings import Settings
from ciosidecar_server.workers.shares import settings_of_workers

from tests.ports import free_port
from tests.processes import COMMAND, TIMEOUT_S, run
from tests.workers.group import LOOPBACK, Watched, children, first_child

TWO = ("serve", "--workers", "2", "--admin-listen", LOOPBACK)


def test_a_taken_port_of_one_worker_fails_the_start() -> None:
    """The address of the second worker is taken: it is named, and the first worker is ended."""
    port = free_port(in_a_row=2)
    with socket.create_server(("127.0.0.1", port + 1)):
        failed = run(*TWO, "--listen", f"127.0.0.1:{port}")
    assert (failed.returncode, failed.stdout) == (1, b"")
    errors = failed.stderr.decode()
    assert f"127.0.0.1:{port + 1}" in errors
    assert "worker 2 did not start: exit code 1" in errors
    with socket.create_server(("127.0.0.1", port)):
        pass  # nothing listens there any more


def test_what_keeps_all_from_starting_is_said_once(tmp_path: Path) -> None:
    """A key that is not there concerns every worker."""
    missing = tmp_path / "missing.pem"
    tls = ("--tls-cert", str(missing), "--tls-key", str(missing))
    failed = run("serve", "--workers", "3", "--admin-listen", LOOPBACK, "--listen", LOOPBACK, *tls)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert "".join(failed.stderr.decode().split()).count(str(missing)) == 1


def test_a_usage_error_of_a_worker_is_one_of_the_parent() -> None:
    """Exit code 2 stays exit code 2."""
    failed = run(*TWO, "--listen", "0.0.0.0:0")
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert b"--insecure" in failed.stderr


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_wrong_number_is_a_usage_error(number: str) -> None:
    """It names the flag."""
    failed = run("serve", "--workers", number)
    assert failed.returncode == 2
    assert b"--workers" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--listen", "127.0.0.1:65535"), "65536"),
        (("--listen", "127.0.0.1:5000", "--listen", "127.0.0.1:5001"), "127.0.0.1:5001"),
        (("--listen", "unix:/s", "--listen", "unix:/s"), "twice"),
        (("--listen", "nonsense"), "nonsense"),
        (("--listen", "unix:/no/such/folder/s.sock"), "unix:/no/such/folder/s.sock-1"),
        (("--listen", LOOPBACK, "--customerio-url", "http://host/path"), "--customerio-url"),
    ],
    ids=["beyond", "overlap", "same-path", "malformed", "missing", "url"],
)
def test_addresses_that_cannot_be_are_named(arguments: tuple[str, ...], named: str) -> None:
    """No process is left waiting, and nothing is printed for programs."""
    failed = run(*TWO, *arguments)
    assert failed.returncode in {1, 2}
    assert failed.stdout == b""
    assert named in " ".join(failed.stderr.decode().split())
    assert b"Traceback" not in failed.stderr


def test_the_admin_port_is_none_of_the_ports_of_the_workers() -> None:
    """It would be taken from the second worker."""
    listen = ("--listen", "127.0.0.1:5000", "--admin-listen", "127.0.0.1:5001")
    failed = run("serve", "--workers", "2", *listen)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert "worker 2 and of the admin port" in " ".join(failed.stderr.decode().split())


def test_the_default_addresses_leave_room_for_any_number_of_workers() -> None:
    """`serve --workers 8` works as it is: the admin port is not among the workers' ports."""
    workers = settings_of_workers(Settings(workers=1000))
    assert [worker.listen for worker in workers[:2]] == [
        ("127.0.0.1:50550",),
        ("127.0.0.1:50551",),
    ]


@contextmanager
def starting(*arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A parent whose first worker has just been started, and that worker."""
    with subprocess.Popen(
        [*COMMAND, *TWO, "--listen", LOOPBACK, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process, first_child(process.pid)
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_before_it_is_ready_is_quiet(number: signal.Signals, code: int) -> None:
    """Not a word on stdout or stderr, and no worker is left."""
    with starting() as (process, worker):
        watched = Watched(worker)
        process.send_signal(number)
        assert process.communicate(timeout=TIMEOUT_S) == (b"", b"")
        assert process.returncode == code
        watched.end()


def test_a_worker_that_is_killed_before_it_is_ready_fails_the_start() -> None:
    """It cannot say why itself: the parent names the signal."""
    with starting() as (process, worker):
        os.kill(worker, signal.SIGKILL)
        output, errors = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, output) == (1, b"")
        assert errors == b"ciosidecar: worker 1 did not start: SIGKILL\n"


def test_a_worker_that_hangs_before_it_is_ready_fails_the_start() -> None:
    """A stopped process takes no SIGTERM: it is killed once its time is over, and the reason is said once."""
    with starting("--worker-start-timeout-s", "0.5") as (process, worker):
        watched, held = Watched(worker), os.pidfd_open(worker)
        os.kill(worker, signal.SIGSTOP)
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
            watched.end()
        finally:
            # A stopped process would outlive a parent that left it.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(held, signal.SIGKILL)
            os.close(held)
    assert (process.returncode, output) == (1, b"")
    assert errors == b"ciosidecar: worker 1 did not start: not ready within 0.5 s, and killed\n"


def test_a_parent_that_is_killed_while_it_starts_leaves_nothing() -> None:
    """The worker was not ready yet."""
    with starting() as (process, worker):
        watched = Watched(worker)
        process.kill()
        watched.end()


def test_a_parent_that_cannot_say_where_its_workers_listen_ends_them() -> None:
    """A full disk in the place of stdout: exit code 1, a sentence, and no worker is left."""
    with (
        tempfile.TemporaryFile() as errors,
        Path("/dev/full").open("wb") as full,
        subprocess.Popen(
            [*COMMAND, *TWO, "--listen", LOOPBACK, "--log-level", "error"],
            stdout=full,
            stderr=errors,
        ) as process,
    ):
        try:
            watched = Watched(first_child(process.pid))
            assert process.wait(TIMEOUT_S) == 1
            watched.end()
            assert children(process.pid) == []
            errors.seek(0)
            assert b"No space left on device" in errors.read()
        finally:
            process.kill()
