"""Addresses that `serve` cannot listen on: each has a sentence of its own that says what to do."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import COMMAND, TIMEOUT_S, run, server
from tests.security.pem import one_line

NOBODY = 65_534
LOOPBACK = "127.0.0.1:0"


def listening_fails(address: str, *further: str) -> str:
    """The sentence with which `serve` ends at an address."""
    failed = run("serve", "--listen", address, "--insecure", *further)
    assert (failed.returncode, failed.stdout) == (1, b"")
    text = one_line(failed.stderr)
    assert address in text
    return text


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:50550", "http:// does not belong there: write 127.0.0.1:50550"),
        ("https://localhost:50550/", "https:// does not belong there: write localhost:50550"),
        ("ipv4:127.0.0.1:50550", "write 127.0.0.1:50550"),
        ("unix:", "the PATH is missing"),
        ("unix://", "the PATH is missing"),
        ("unix://run/s.sock", "after unix:// comes an absolute path"),
        ("unix-abstract:", "the NAME is missing"),
        (f"unix:/tmp/{'x' * 103}", "has 108 bytes, and the system takes 107 at most"),
        (f"unix:/tmp/{'é' * 52}", "has 109 bytes, and the system takes 107 at most"),
        ("unix:/tmp/", "it names a directory"),
        ("unix:/tmp/a#b.sock", "must not contain %, ?, #"),
        ("unix:/no/such/directory/s.sock", "the directory /no/such/directory does not exist"),
        ("unix:/dev/null/s.sock", "the directory /dev/null is no directory"),
        ("unix:/dev/null", "there is a file that is no socket"),
        ("192.0.2.1:0", "this is not an address of this machine"),
        ("[2001:db8::1]:0", "this is not an address of this machine"),
        ("no-such-host.invalid:0", "no-such-host.invalid"),
        (f"{'x' * 70}.invalid:0", "is no host name"),
        ("::1:50550", "an IPv6 address needs brackets: write [::1]:50550"),
        ("fe80::1", "an IPv6 address needs brackets and a port: write [fe80::1]:50550"),
        ("[::1]", "the port is missing"),
        ("[nonsense:]:1", "is no IPv6 address"),
        ("localhost", "the port is missing: write localhost:50550"),
        ("127.0.0.1:65536", "port 65536 is out of range"),
        (f"127.0.0.1:{'9' * 5000}", "is out of range"),
        ("127.0.0.1:http", "'http' is no port"),
        ("127.0.0.1:-1", "'-1' is no port"),
        ("127.0.0.1:", "'' is no port"),
    ],
)
def test_the_sentence_says_what_is_wrong(address: str, words: str) -> None:
    """Exit code 1, and one line that ends with what to write."""
    assert words in listening_fails(address)


def test_a_path_of_107_bytes_is_taken(tmp_path: Path) -> None:
    """The longest one that the system takes."""
    start = f"{os.path.relpath(tmp_path)}/"
    path = start + "x" * (107 - len(start))
    with server("--listen", f"unix:{path}") as running:
        assert running.addresses == [f"unix:{path}"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::]", ""])
def test_a_taken_port(host: str) -> None:
    """Also if only one of the addresses of a name has it, so that no half of a server starts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = listening_fails(f"{host}:{port}")
    assert f"port {port} is taken by another program" in text


def test_a_taken_abstract_socket() -> None:
    """Two servers cannot have one name."""
    name = f"unix-abstract:ciosidecar-test-{os.getpid()}"
    with server("--listen", name) as running:
        assert running.addresses == [name]
        assert "another server listens on it" in listening_fails(name)


def test_a_taken_socket(tmp_path: Path) -> None:
    """Also by another program, whatever kind of socket it has."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taken:
        taken.bind(str(path))
        assert "another server listens on it" in listening_fails(f"unix:{path}")
    assert path.is_socket()


def test_a_server_that_accepts_nothing_keeps_its_socket(tmp_path: Path) -> None:
    """A full backlog is no reason to take the file away, and does not hang the start."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as taken, socket.socket(socket.AF_UNIX) as waiting:
        taken.bind(str(path))
        taken.listen(0)
        waiting.connect(str(path))
        assert "another server listens on it" in listening_fails(f"unix:{path}")


def without_privileges(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """`serve` as root without root's capabilities, who may do with files of others what others may."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip(
            "needs root and setpriv, to give files to another user and to drop capabilities"
        )
    return subprocess.run(
        [setpriv, "--bounding-set=-all", "--inh-caps=-all", *COMMAND, "serve", *arguments],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def of_nobody(path: Path, mode: int) -> Path:
    """Give a file to another user."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    path.chmod(mode)
    return path


def others_directory(tmp_path: Path) -> Path:
    """A directory that others may read but not write."""
    directory = tmp_path / "others"
    directory.mkdir()
    return of_nobody(directory, 0o755)


def inside_of_others_directory(tmp_path: Path) -> Path:
    """A directory in one that others may not enter."""
    directory = tmp_path / "closed"
    (directory / "inner").mkdir(parents=True)
    return of_nobody(directory, 0o700) / "inner"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (others_directory, "permission denied: user 0 may not make files in"),
        (inside_of_others_directory, "this user may not look into"),
    ],
)
def test_a_socket_directory_without_permission(
    make: Callable[[Path], Path], words: str, tmp_path: Path
) -> None:
    """The sentence names the directory and the user."""
    failed = without_privileges("--listen", f"unix:{make(tmp_path)}/s.sock")
    assert failed.returncode == 1
    assert words in one_line(failed.stderr)


def test_a_socket_of_another_user(tmp_path: Path) -> None:
    """It may be alive, and cannot be removed anyway."""
    directory = tmp_path / "sticky"
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / "s.sock"))
    of_nobody(directory / "s.sock", 0o600)
    of_nobody(directory, 0o1777)
    failed = without_privileges("--listen", f"unix:{directory}/s.sock")
    assert failed.returncode == 1
    assert "belongs to another user" in one_line(failed.stderr)
    (directory / "s.sock").chmod(0o666)
    failed = without_privileges("--listen", f"unix:{directory}/s.sock")
    assert "cannot be removed" in one_line(failed.stderr)


def test_a_privileged_port() -> None:
    """The sentence names the first port that needs no privilege."""
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii"))
    if first < 2:
        pytest.skip("on this machine every user may listen on every port")
    failed = without_privileges("--listen", "127.0.0.1:1")
    assert failed.returncode == 1
    text = one_line(failed.stderr)
    assert f"this user may not listen on port 1: choose a port from {first} on" in text


def test_a_file_without_permission(tmp_path: Path) -> None:
    """Tokens here; keys and certificates are read by the same function."""
    (tmp_path / "tokens").write_text("0123456789abcdef\n")
    of_nobody(tmp_path / "tokens", 0o600)
    failed = without_privileges("--listen", LOOPBACK, "--auth-token-file", str(tmp_path / "tokens"))
    assert failed.returncode == 1
    text = one_line(failed.stderr)
    assert "tokens: permission denied; user 0 must be able to read it" in text


def test_ctrl_c_before_ready_is_quiet() -> None:
    """At whatever moment of the start it comes: no word, and no traceback."""
    for waited_s in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6):
        with subprocess.Popen(
            [*COMMAND, "serve", "--listen", LOOPBACK, "--log-level", "error"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                process.wait(waited_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=TIMEOUT_S)
        if b"KeyboardInterrupt" in errors and b", in main" not in errors:
            continue  # Python was importing the command, and had not called it yet
        assert errors == b"", (waited_s, errors.decode())
        assert process.returncode == (0 if out else 130), waited_s
