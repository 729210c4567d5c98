"""TLS and tokens of the commands that ask a running sidecar, and what they say if none answers."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.processes import Server, run, server
from tests.security.pem import DAY, NAMES, Files, ca_file, expiring, one_line
from tests.security.silent_servers import answer_no_healthy_upstream, say_nothing, tls_server

TOKEN = "a-secret-0123456789"
TRACK = b'{"type": "track", "userId": "u1", "event": "Paid"}\n'
COMMANDS = ("check", "transform", "deliver")


class Place:
    """A directory with all that a server and a command need."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority, self.client_authority = trustme.CA(), trustme.CA()
        self.ca = ca_file(directory, self.authority)
        self.client_ca = ca_file(directory, self.client_authority, name="client-ca.pem")
        self.own = Files(directory).write(self.authority.issue_cert(*NAMES))
        self.client = Files(directory, "client").write(self.client_authority.issue_cert("caller"))
        self.stranger = Files(directory, "stranger").write(trustme.CA().issue_cert("caller"))
        self.tokens = self.file("tokens", f"{TOKEN}\n")
        self.token = self.file("token", f"# mine\n{TOKEN}\n")
        self.config = self.file("destination.json", '{"siteID": "site", "apiKey": "key"}')

    def file(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        (self.directory / name).write_text(text)
        return str(self.directory / name)

    @contextmanager
    def server(self, *flags: str) -> Iterator[Server]:
        """A server on loopback."""
        with server("--listen", "127.0.0.1:0", *flags) as running:
            yield running


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_mtls_and_a_token(command: str, place: Place) -> None:
    """By flags: all three commands."""
    serving = (*place.own.flags, "--tls-client-ca", str(place.client_ca))
    with place.server(*serving, "--auth-token-file", place.tokens, "--no-delivery") as running:
        done = run(
            *(command, "--config", place.config, "--target", running.addresses[0]),
            *("--tls-ca", str(place.ca), *place.client.flags, "--token-file", place.token),
            stdin=TRACK,
        )
    if command == "deliver":  # it came as far as the server's own answer
        assert b"no delivery" in done.stderr or b"UNIMPLEMENTED" in done.stderr
    else:
        assert done.returncode == 0, done.stderr.decode()
    assert TOKEN.encode() not in done.stderr + done.stdout


def test_the_environment_and_a_server_name(place: Place) -> None:
    """CIOSIDECAR_ names stand for the flags."""
    other = Files(place.directory, "other").write(place.authority.issue_cert("sidecar.example"))
    with place.server(*other.flags, "--auth-token-file", place.tokens) as running:
        environment = os.environ | {
            "CIOSIDECAR_TARGET": running.addresses[0],
            "CIOSIDECAR_TLS_CA": str(place.ca),
            "CIOSIDECAR_TLS_SERVER_NAME": "sidecar.example",
            "CIOSIDECAR_TOKEN_FILE": place.token,
        }
        done = run("transform", "--config", place.config, stdin=TRACK, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["status"] == 200


def test_a_unix_socket_has_no_tls(place: Place) -> None:
    """Options of TLS that are set for other addresses do no harm there."""
    address = f"unix:{place.directory}/s.sock"
    with server("--listen", address, *place.own.flags):
        done = run(
            *("check", "--config", place.config, "--target", address, "--tls-ca", str(place.ca))
        )
    assert done.returncode == 0, done.stderr.decode()


def what_check_says(place: Place, address: str, *flags: str, code: int = 1) -> str:
    """The sentence with which `check --target` ends, which takes a few seconds at most."""
    began = time.monotonic()
    done = run("check", "--config", place.config, "--target", address, *flags)
    assert (done.returncode, done.stdout) == (code, b""), done.stderr.decode()
    assert time.monotonic() - began < 40  # seconds on an idle machine
    assert TOKEN not in done.stderr.decode()
    return one_line(done.stderr)


def test_nothing_listens(place: Place) -> None:
    """A port that nothing listens on, and a socket that is not there."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and does not listen
        port = reserved.getsockname()[1]
        assert "nothing listens there" in what_check_says(place, f"127.0.0.1:{port}")
    assert "there is no such socket" in what_check_says(place, f"unix:{place.directory}/none")


def test_something_else_listens(place: Place) -> None:
    """A port that accepts connections and says nothing: not forever."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        said = what_check_says(place, f"127.0.0.1:{silent.getsockname()[1]}")
    assert "something accepts the connection and says nothing" in said


def test_the_admin_port(place: Place) -> None:
    """The port beside the sidecar's own is the likeliest slip."""
    with place.server() as running:
        said = what_check_says(place, running.ready_line["admin"])
    assert "it speaks HTTP/1.1, as the admin port does: give an address that" in said


def test_something_else_speaks_tls_and_nothing_more(place: Place) -> None:
    """It is connected, so no firewall is in between: gRPC's own words are shown."""
    with tls_server(place.authority, say_nothing) as address:
        said = what_check_says(place, address, "--tls-ca", str(place.ca))
    assert "no answer from the sidecar at" in said
    assert "firewall" not in said


@pytest.mark.parametrize("command", ["check", "deliver"])
def test_a_proxy_without_a_healthy_sidecar(command: str, place: Place) -> None:
    """The proxy's own words are shown. Like Envoy, it waits for the preface of HTTP/2."""
    with tls_server(place.authority, answer_no_healthy_upstream) as address:
        options = ("--config", place.config, "--target", address, "--tls-ca", str(place.ca))
        done = run(command, *options, stdin=TRACK)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "no healthy upstream" in done.stderr.decode()


def test_tls_where_there_is_none_and_none_where_it_is(place: Place) -> None:
    """Each says which options to give or to leave out."""
    with place.server() as running:
        said = what_check_says(place, running.addresses[0], "--tls-ca", str(place.ca))
        assert "it has no TLS: leave out --tls-ca" in said
    with place.server(*place.own.flags) as running:
        assert "it speaks TLS: give --tls-ca" in what_check_says(place, running.addresses[0])


def test_a_certificate_that_is_not_trusted(place: Place) -> None:
    """Another authority, this machine's, another name, or too old."""
    with place.server(*place.own.flags) as running:
        address = running.addresses[0]
        for authority in (str(place.client_ca), "system"):
            said = what_check_says(place, address, "--tls-ca", authority)
            assert "its certificate is not trusted" in said
        said = what_check_says(
            *(place, address, "--tls-ca", str(place.ca), "--tls-server-name", "sidecar.example")
        )
        assert "its certificate is not for sidecar.example" in said
    place.own.write(expiring(place.authority, after=-DAY))
    with place.server(*place.own.flags) as running:
        said = what_check_says(place, running.addresses[0], "--tls-ca", str(place.ca))
        assert "certificate has expired" in said


def test_a_certificate_is_required(place: Place) -> None:
    """None is given, or one that the sidecar does not trust."""
    serving = (*place.own.flags, "--tls-client-ca", str(place.client_ca))
    with place.server(*serving) as running:
        address, ca = running.addresses[0], ("--tls-ca", str(place.ca))
        assert "give --tls-cert and --tls-key" in what_check_says(place, address, *ca)
        said = what_check_says(place, address, *ca, *place.stranger.flags)
        assert "does not accept the certificate of --tls-cert" in said


def test_a_token_is_missing_or_wrong(place: Place) -> None:
    """Each says where tokens come from."""
    wrong = place.file("wrong", "another-0123456789\n")
    with place.server("--auth-token-file", place.tokens) as running:
        address = running.addresses[0]
        said = what_check_says(place, address)
        assert "needs a bearer token: give one with --token-file" in said
        said = what_check_says(place, address, "--token-file", wrong)
        assert "does not accept the token in" in said
        assert "another-0123456789" not in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--tls-ca", "no-such-file"), "cannot read --tls-ca no-such-file"),
        (("--tls-cert", "client.pem"), "--tls-cert and --tls-key together"),
        (("--token-file", "no-such-file"), "cannot read --token-file no-such-file"),
    ],
)
def test_options_that_cannot_be_used(flags: tuple[str, ...], words: str, place: Place) -> None:
    """Exit code 2, before anything is connected to."""
    assert words in what_check_says(place, "127.0.0.1:1", *flags, code=2)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a-secret-\0-0123456789", "line 1: a token must be one word of ASCII"),
        ("# mine\na-sécret-0123456789".encode(), "line 2: a token must be one word of ASCII"),
        (b"\xff\xfea-secret-0123456789", "line 1: a token must be one word of ASCII"),
        (b"a-secret 0123456789", "line 1: a token must be one word of ASCII"),
        (b"# none\n\n", "holds no token"),
        (b"", "holds no token"),
    ],
    ids=["null byte", "not ASCII", "not UTF-8", "blank", "comment", "empty"],
)
def test_a_file_without_a_usable_token(
    command: str, content: bytes, words: str, place: Place
) -> None:
    """A usage error with the place, before anything is connected to; the token is not quoted."""
    file = place.directory / "unusable"
    file.write_bytes(content)
    flags = ("--target", "127.0.0.1:1", "--token-file", str(file))
    done = run(command, "--config", place.config, *flags, stdin=TRACK)
    assert (done.returncode, done.stdout) == (2, b""), done.stderr.decode()
    errors = done.stderr.decode()
    assert f"--token-file {file}" in errors
    assert words in errors
    assert "0123456789" not in errors


@pytest.mark.parametrize("before", ["", "# mine\n"])
def test_a_token_file_may_begin_with_a_byte_order_mark(before: str, place: Place) -> None:
    """As that of the server may."""
    file = place.file("token-of-an-editor", f"\ufeff{before}{TOKEN}\r\n")
    with place.server("--auth-token-file", place.tokens) as running:
        target = ("--target", running.addresses[0], "--token-file", file)
        done = run("check", "--config", place.config, *target)
    assert done.returncode == 0, done.stderr.decode()


def test_a_token_stays_on_this_machine_without_tls(place: Place) -> None:
    """It would be readable on the network."""
    flags = ("--token-file", place.token)
    said = what_check_says(place, "192.0.2.1:50550", *flags, code=2)
    assert "--insecure" in said
