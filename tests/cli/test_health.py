"""`ciosidecar health`: what a container's health check runs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.processes import run

READY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
DRAINING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\ndraining\n"


@contextmanager
def admin_port(answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A port that answers one request with some bytes, or with None never, and what it received."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(10_000))
                if answer is None:
                    connection.recv(1)  # until the command ends
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", received
        thread.join(30)


def test_a_ready_sidecar_is_healthy() -> None:
    """Exit code 0, without a word, after one GET of /readyz."""
    with admin_port(READY) as (address, received):
        done = run("health", "--admin", address)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert received[0].startswith(b"GET /readyz HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (DRAINING, b"not ready: draining"),
        (b"", b"no answer"),
        (b"SSH-2.0-OpenSSH\r\n", b"does not speak HTTP"),
        (None, b"the time is over"),
    ],
    ids=["draining", "closed", "another protocol", "silent"],
)
def test_anything_else_is_exit_code_1_and_a_reason(answer: bytes | None, words: bytes) -> None:
    """In one line on stderr."""
    with admin_port(answer) as (address, _):
        done = run("health", "--admin", address, "--timeout-s", "0.5")
    assert (done.returncode, done.stdout) == (1, b"")
    assert words in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_port_without_a_listener_is_exit_code_1() -> None:
    """A socket that is bound and does not listen: no other process can take its port."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        done = run("health", "--admin", f"127.0.0.1:{bound.getsockname()[1]}")
    assert done.returncode == 1
    assert b"nothing listens there: is `ciosidecar serve` running" in done.stderr


@pytest.mark.parametrize(
    "admin", ["", "host", ":1", "http://127.0.0.1:1", "127.0.0.1:x", "a:70000", "u:p@h:1", "h:1/x"]
)
def test_a_malformed_address_is_exit_code_2(admin: str) -> None:
    """Before anything is connected."""
    done = run("health", "--admin", admin)
    assert done.returncode == 2
    assert b"is not host:port" in done.stderr
