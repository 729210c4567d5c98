"""`ciosidecar sandbox` as a process: the ready line, the signals, what it refuses."""

import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import run
from tests.processor import waited_s
from tests.sandbox.support import AUTH, sandbox_process

pytestmark = pytest.mark.serial


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_it_starts_says_where_and_ends_with_a_signal(number: signal.Signals) -> None:
    """One line of JSON with the URL really bound; exit code 0 and nothing on stderr."""
    started, waited_before_s = time.monotonic(), waited_s()
    with sandbox_process() as process:
        took_s = time.monotonic() - started
        assert took_s - (waited_s(process.process.pid) - waited_before_s) < 5
        line = process.ready_line
        assert line["ready"] is True
        assert line["pid"] == process.process.pid
        assert not line["url"].endswith(":0")
        with httpx.Client(base_url=line["url"], auth=AUTH) as http:
            assert http.put("/api/v1/customers/u1", json={}).status_code == 200
            process.process.send_signal(number)
            assert process.end() == (0, "")


def test_it_ends_while_clients_hang_and_connections_are_open() -> None:
    """Whoever waits for an answer that never comes does not keep it."""
    with sandbox_process("--fault", "hang=1") as process:
        request = (
            b"POST /api/v1/customers/u1/suppress HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Basic YTpi\r\nContent-Length: 0\r\n\r\n"
        )
        with socket.create_connection(process.address) as hanging:
            hanging.sendall(request)
            answer: Any = None
            while answer is None or not answer["requests"]:
                answer = httpx.get(f"{process.url}/sandbox/requests").json()
            started = time.monotonic()
            process.process.terminate()
            assert process.end()[0] == 0
            assert time.monotonic() - started < 10


def test_a_taken_port_is_a_sentence() -> None:
    """Exit code 1; the address is named."""
    with sandbox_process() as process:
        address = process.url.removeprefix("http://")
        failed = run("sandbox", "--listen", address)
        assert failed.returncode == 1
        sentence = f"cannot listen on {address}: Address already in use; give another address"
        assert sentence in failed.stderr.decode()
        assert b"Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen", "0.0.0.0:0"),
        ("--listen", "[::]:0"),
        ("--listen", "192.0.2.1:0"),
        ("--listen", "example.com:80"),
        ("--listen", "nonsense"),
        ("--listen", "127.0.0.1:99999"),
        ("--fault", "nope=1"),
        ("--fault", "429=2"),
        ("--retry-after-s", "-1"),
        ("--keep", "0"),
        ("--site-id", "a"),
        ("--tls-cert", "a.pem"),
        ("--region", "apac"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_a_sentence(arguments: tuple[str, ...]) -> None:
    """Exit code 2, nothing on stdout, no traceback."""
    failed = run("sandbox", *arguments)
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert failed.stderr.startswith(b"ciosidecar: ")
    assert b"Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen", "192.0.2.1:0", "--insecure"),
        ("--tls-cert", "/no/such", "--tls-key", "/no/such"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_used_here_is_a_sentence(arguments: tuple[str, ...]) -> None:
    """Exit code 1: another machine may have the address or the file."""
    failed = run("sandbox", *arguments)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert failed.stderr.startswith(b"ciosidecar: ")
    assert b"Traceback" not in failed.stderr


@pytest.mark.parametrize(("region", "code"), [("eu", 0), ("us", 1)])
def test_the_region_is_that_of_the_destination_or_not(region: str, code: int) -> None:
    """`check --probe` asks the sandbox about the example, which is in the EU."""
    config = Path(__file__).parents[2] / "examples/destination.json"
    with sandbox_process("--region", region) as process:
        probed = run("check", "--config", str(config), "--probe", "--customerio-url", process.url)
    assert probed.returncode == code


def test_only_loopback_without_insecure() -> None:
    """The refusal names the flag; with it, all addresses do."""
    assert b"--insecure" in run("sandbox", "--listen", "0.0.0.0:0").stderr
    with sandbox_process("--insecure", listen="0.0.0.0:0") as process:
        port = process.url.rpartition(":")[2]
        assert httpx.get(f"http://127.0.0.1:{port}/sandbox/counters").status_code == 200


@pytest.mark.parametrize("host", ["localhost", "[::1]", "127.0.0.2"])
def test_every_loopback_address_will_do(host: str) -> None:
    """IPv6 too, where there is any."""
    if host == "[::1]":
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError:
                pytest.skip("this machine has no IPv6")
    with sandbox_process(listen=f"{host}:0") as process:
        assert httpx.get(f"{process.url}/sandbox/counters").status_code == 200


def test_settings_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a prefix of their own: CIOSIDECAR_LISTEN is where `serve` listens."""
    monkeypatch.setenv("CIOSIDECAR_LISTEN", "nonsense")
    monkeypatch.setenv("CIOSIDECAR_SANDBOX_SITE_ID", "site")
    monkeypatch.setenv("CIOSIDECAR_SANDBOX_API_KEY", "other")
    with sandbox_process() as process:
        answer = httpx.get(f"{process.url}/api/v1/accounts/region", auth=AUTH)
        assert answer.status_code == 401
