"""Sockets: permissions of their files, files that were left, abstract ones, and which family a port has."""

import grp
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from ciosidecar import Client, v1

from tests.ports import free_port
from tests.processes import COMMAND, TIMEOUT_S, run, server
from tests.security.pem import one_line

OTHER_GROUP = 12_345


def answers(address: str) -> bool:
    """Return True if a sidecar answers at an address."""
    with Client(address) as client:
        return bool(client.capabilities(timeout_s=60).server_version)


def permissions(path: Path) -> int:
    """The mode of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def watched(path: Path) -> Iterator[set[tuple[int, int]]]:
    """Collect the modes and groups that a file has while the block runs."""
    found: set[tuple[int, int]] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.add((stat.S_IMODE(status.st_mode), status.st_gid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("mode", ["0660", "600", "0777"])
def test_the_mode_of_a_socket(mode: str, tmp_path: Path) -> None:
    """It holds from the first moment: before, nobody could connect."""
    path = tmp_path / "s.sock"
    with watched(path) as found, server("--listen", f"unix:{path}", "--socket-mode", mode):
        assert permissions(path) == int(mode, 8)
        assert answers(f"unix:{path}")
    assert {seen for seen, _ in found} <= {0, int(mode, 8)}


def test_the_group_of_a_socket(tmp_path: Path) -> None:
    """By number or name; the group may connect, and no other group could before."""
    path = tmp_path / "s.sock"
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to a group that it does not belong to")
    with (
        watched(path) as found,
        server("--listen", f"unix:{path}", "--socket-group", str(OTHER_GROUP)),
    ):
        assert (permissions(path), path.stat().st_gid) == (0o660, OTHER_GROUP)
    assert found <= {(0, os.getegid()), (0, OTHER_GROUP), (0o660, OTHER_GROUP)}
    name = grp.getgrgid(os.getegid()).gr_name
    with server("--listen", f"unix:{path}", "--socket-group", name, "--socket-mode", "0620"):
        assert (permissions(path), path.stat().st_gid) == (0o620, os.getegid())


def test_a_group_that_the_user_may_not_use(tmp_path: Path) -> None:
    """The sentence says so, and no socket is left."""
    path = tmp_path / "s.sock"
    arguments = ("serve", "--listen", f"unix:{path}", "--socket-group", str(OTHER_GROUP))
    if os.geteuid() != 0:
        failed = run(*arguments)
    else:
        failed = subprocess.run(
            ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *COMMAND, *arguments],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert failed.returncode == 1
    assert f"cannot be given to group {OTHER_GROUP}" in one_line(failed.stderr)
    assert not path.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--socket-mode", "rw-rw----"), "'rw-rw----' is no mode"),
        (("--socket-mode", "0o660"), "'0o660' is no mode"),
        (("--socket-mode", "0860"), "'0860' is no mode"),
        (("--socket-mode", "4755"), "'4755' is no mode"),
        (("--socket-mode", ""), "'' is no mode"),
        (("--socket-mode", "0440"), "keeps the sidecar's own user out"),
        (("--socket-group", "no-such-group"), "there is no such group"),
        (
            ("--socket-mode", "0660", "--listen", "unix-abstract:x"),
            "unix-abstract:x is an abstract",
        ),
    ],
)
def test_permissions_that_cannot_be(flags: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """Exit code 1 and one line; nothing was listened on."""
    failed = run("serve", "--listen", f"unix:{tmp_path}/s.sock", *flags)
    assert failed.returncode == 1
    assert words in one_line(failed.stderr)
    assert not (tmp_path / "s.sock").exists()


def test_permissions_without_a_socket() -> None:
    """An operator who sets them expects that they protect something."""
    failed = run("serve", "--listen", "127.0.0.1:0", "--socket-mode", "0660")
    assert failed.returncode == 1
    assert "no --listen is unix:PATH" in one_line(failed.stderr)


def test_an_abstract_socket() -> None:
    """It has no file, and ends with its server."""
    address = f"unix-abstract:ciosidecar-test-{os.getpid()}"
    for _ in range(2):
        with server("--listen", address) as running:
            assert running.addresses == [address]
            assert answers(address)


@pytest.mark.parametrize("flags", [(), ("--socket-mode", "0660")])
def test_a_restart_after_kill_9(flags: tuple[str, ...], tmp_path: Path) -> None:
    """The file that was left is taken over."""
    address = f"unix:{tmp_path}/s.sock"
    with server("--listen", address, *flags) as running:
        running.signal(signal.SIGKILL)
        running.process.wait(TIMEOUT_S)
    assert (tmp_path / "s.sock").is_socket()
    with server("--listen", address, *flags):
        assert answers(address)


def test_a_socket_whose_server_died_while_it_set_permissions(tmp_path: Path) -> None:
    """It has no permission at all, and is of this user."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    path.chmod(0)
    with server("--listen", f"unix:{path}"):
        assert answers(f"unix:{path}")


def test_a_draining_server_leaves_the_socket_of_the_next_one(tmp_path: Path) -> None:
    """The next one can take the path while the streams of the former one end."""
    address = f"unix:{tmp_path}/s.sock"
    with (
        server("--listen", address, "--grace", "60") as former,
        grpc.insecure_channel(address) as channel,
    ):
        call = v1.SidecarServiceStub(channel).TransformStream(_open_and_wait(), timeout=60)
        assert next(call).WhichOneof("message") == "opened"
        former.signal(signal.SIGTERM)
        assert next(call).WhichOneof("message") == "drain"
        with server("--listen", address) as latter:
            assert latter.ready_line["ready"]
            call.cancel()
            assert former.end()[0] == 0
            assert answers(address)


def _open_and_wait() -> Iterator[v1.TransformStreamRequest]:
    yield v1.TransformStreamRequest(open=v1.OpenStream())
    while True:
        time.sleep(0.05)
        yield v1.TransformStreamRequest(upsert_destinations=v1.UpsertDestinations())


def test_two_that_start_at_once_on_a_left_file(tmp_path: Path) -> None:
    """One gets it; the other says that it is taken, and takes nothing away."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with server("--listen", f"unix:{path}") as one, server("--listen", f"unix:{path}") as other:
        ready = [each for each in (one, other) if each.ready_line]
        assert len(ready) == 1
        assert answers(f"unix:{path}")


def connects(family: socket.AddressFamily, host: str, port: int) -> bool:
    """Return True if something listens at a port."""
    with socket.socket(family) as client:
        client.settimeout(10)
        return client.connect_ex((host, port)) == 0


@pytest.mark.parametrize(
    ("host", "ipv6"), [("0.0.0.0", False), ("0", False), ("[::]", True), ("", True)]
)
@pytest.mark.parametrize("given", [True, False], ids=["a-port", "any-port"])
def test_which_family_an_address_for_all_has(host: str, *, ipv6: bool, given: bool) -> None:
    """0.0.0.0 means IPv4 alone, [::] and no host mean both."""
    if not socket.has_ipv6 or not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    wanted = free_port() if given else 0
    with server("--listen", f"{host}:{wanted}", "--insecure") as running:
        name, _, port = running.addresses[0].rpartition(":")
        assert name == ("[::]" if ipv6 else "0.0.0.0")
        assert connects(socket.AF_INET, "127.0.0.1", int(port))
        assert connects(socket.AF_INET6, "::1", int(port)) is ipv6
        assert answers(f"127.0.0.1:{port}")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
