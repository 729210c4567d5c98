"""`ciosidecar serve` as a process: the ready line, the addresses, the signals."""

import asyncio
import ipaddress
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from ciosidecar import v1
from ciosidecar_server.app import SERVICE_NAME
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import batch, end_of, opened, results_of
from tests.processes import run, server

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
LOOPBACK = "127.0.0.1:0"


def test_the_ready_line_says_what_is_bound(tmp_path: Path) -> None:
    """One line of JSON: the addresses really bound, the protocol, the version, the process."""
    path = f"unix:{tmp_path}/s.sock"
    with server("--listen", LOOPBACK, "--listen", path) as running:
        line = running.ready_line
        assert line["ready"] is True
        assert line["protocol"] == "ciosidecar.v1"
        assert line["pid"] == running.process.pid
        tcp, unix = line["listen"]
        assert tcp.startswith("127.0.0.1:")
        assert not tcp.endswith(":0")
        assert unix == path
        for address in (tcp, unix):
            with grpc.insecure_channel(address) as channel:
                answer = v1.SidecarServiceStub(channel).GetCapabilities(
                    v1.GetCapabilitiesRequest(), timeout=60
                )
                assert answer.server_version == line["version"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    """Exit code 0 and no warning on stderr."""
    with server("--listen", LOOPBACK, "--log-level", "warning") as running:
        running.signal(number)
        assert running.end() == (0, "")


def test_a_taken_port_is_an_error_that_names_it() -> None:
    """A second server on the port fails; it does not share the port in silence (T2)."""
    with server("--listen", LOOPBACK) as running:
        address = running.addresses[0]
        second = run("serve", "--listen", address)
        assert second.returncode == 1
        assert address in second.stderr.decode()
        assert second.stdout == b""


def test_a_taken_socket_is_an_error_and_stays_with_its_owner(tmp_path: Path) -> None:
    """gRPC itself would take the socket file away from the server that listens on it."""
    path = f"unix:{tmp_path}/s.sock"
    with server("--listen", path):
        second = run("serve", "--listen", path)
        assert second.returncode == 1
        assert b"another server" in second.stderr
        with grpc.insecure_channel(path) as channel:
            v1.SidecarServiceStub(channel).GetCapabilities(v1.GetCapabilitiesRequest(), timeout=60)


def test_a_socket_left_behind_is_taken_over(tmp_path: Path) -> None:
    """A socket file nobody listens on, as after kill -9, is no obstacle."""
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "s.sock"))
    left.close()
    with server("--listen", f"unix:{tmp_path}/s.sock") as running:
        assert running.ready_line["ready"]


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "127.0.0.1:99999",
        "127.0.0.1:٣",
        "ipv4:127.0.0.1:0",
        "::1:0",
        "no-such-host.invalid:0",
        f"{'x' * 70}.invalid:0",
        "unix:/no/such/folder/s.sock",
        "192.0.2.1:0",
    ],
)
def test_an_address_that_cannot_be_is_an_error(address: str) -> None:
    """Exit code 1 and a sentence that names the address."""
    failed = run("serve", "--listen", address, "--insecure")
    assert failed.returncode == 1
    assert address in failed.stderr.decode()
    assert b"Traceback" not in failed.stderr


OPEN_TO_OTHERS = ["0.0.0.0:0", "[::]:0", ":0", "0:0", "[::ffff:0.0.0.0]:0"]


@pytest.mark.parametrize("address", [*OPEN_TO_OTHERS, "192.0.2.1:0", "[2001:db8::1]:0"])
def test_an_address_that_others_reach_needs_tls(address: str) -> None:
    """Results carry credentials: a usage error that says what to do, and nothing is listened on."""
    failed = run("serve", "--listen", LOOPBACK, "--listen", address)
    assert (failed.returncode, failed.stdout) == (2, b"")
    words = " ".join(failed.stderr.decode().split())
    for word in (address, "127.0.0.1", "unix:", "--tls-cert", "--insecure"):
        assert word in words


def test_a_name_of_this_machine_that_others_reach_needs_tls() -> None:
    """Names are looked up: what counts is where they lead."""
    name = socket.gethostname()
    found = {str(one[4][0]) for one in socket.getaddrinfo(name, None)}
    if all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found):
        pytest.skip("this machine's name leads to loopback only")
    assert run("serve", "--listen", f"{name}:0").returncode == 2


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0"])
def test_insecure_is_said_aloud(address: str) -> None:
    """With --insecure the server listens, and warns on stderr."""
    with server("--listen", address, "--insecure") as running:
        port = running.addresses[0].rpartition(":")[2]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            v1.SidecarServiceStub(channel).GetCapabilities(v1.GetCapabilitiesRequest(), timeout=60)
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    assert '"level": "warning"' in errors
    assert "without TLS" in errors


@pytest.mark.parametrize("address", [LOOPBACK, "localhost:0"])
def test_loopback_needs_no_tls(address: str) -> None:
    """Whatever it is called: no warning either."""
    with server("--listen", address, "--log-level", "warning") as running:
        running.signal(signal.SIGTERM)
        assert running.end() == (0, "")


def test_with_tls_any_address_will_do(tmp_path: Path) -> None:
    """No --insecure, no warning."""
    authority = trustme.CA()
    pair = authority.issue_cert("localhost")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    pair.private_key_pem.write_to_path(str(key))
    pair.cert_chain_pems[0].write_to_path(str(certificate))
    tls = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with server("--listen", "0.0.0.0:0", "--log-level", "warning", *tls) as running:
        assert running.addresses[0].startswith("0.0.0.0:")
        running.signal(signal.SIGTERM)
        assert running.end() == (0, "")


def test_a_file_in_the_place_of_a_socket_is_left_alone(tmp_path: Path) -> None:
    """Nobody's file is deleted to make room for a socket."""
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    failed = run("serve", "--listen", f"unix:{path}")
    assert failed.returncode == 1
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [("--no-such-flag",), ("--grace", "soon"), ("--max-batch-events", "many")],
    ids=["unknown", "grace", "number"],
)
def test_wrong_flags_are_usage_errors(arguments: tuple[str, ...]) -> None:
    """Exit code 2 and the name of the flag."""
    failed = run("serve", *arguments)
    assert failed.returncode == 2
    assert arguments[0].encode() in failed.stderr + failed.stdout


def test_a_wrong_log_level_is_a_usage_error() -> None:
    """The choices are named."""
    failed = run("serve", "--log-level", "loud")
    assert failed.returncode == 2
    assert b"debug" in failed.stderr


def test_settings_come_from_the_environment_too() -> None:
    """CIOSIDECAR_LISTEN stands for --listen; a flag wins over it."""
    environment = os.environ | {"CIOSIDECAR_LISTEN": "nonsense"}
    assert run("serve", env=environment).returncode == 1
    assert b"nonsense" in run("serve", env=environment).stderr


async def test_sigterm_drains_an_open_stream() -> None:
    """Drain in band, what was received is answered, the stream ends with OK, exit code 0, no warning in the log."""
    with server("--listen", LOOPBACK, "--log-level", "warning") as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            call, _ = await opened(v1.SidecarServiceStub(channel))
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK)))
            await results_of(call)
            running.signal(signal.SIGTERM)
            response: Any = await asyncio.wait_for(call.read(), 60)
            assert response.WhichOneof("message") == "drain"
            assert response.drain.grace.seconds == 10
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=2)))
            (results,) = await results_of(call, 2)
            assert list(results.statuses) == [200]
            await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
            assert await end_of(call) == (grpc.StatusCode.OK, "")
        code, errors = await asyncio.to_thread(running.end)
        assert (code, errors) == (0, "")


async def test_health_says_so_before_the_server_goes() -> None:
    """On SIGTERM whoever watches the health sees NOT_SERVING, while streams still go on."""
    with server("--listen", LOOPBACK) as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE_NAME))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            call, _ = await opened(v1.SidecarServiceStub(channel))
            running.signal(signal.SIGTERM)
            answer = await asyncio.wait_for(watch.read(), 60)
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK)))
            while (await _next(call)) != "results":
                pass
            watch.cancel()
        assert (await asyncio.to_thread(running.end))[0] == 0


async def test_the_grace_bounds_a_stream_that_never_rests() -> None:
    """A caller that sends on after Drain is ended with the grace, and the exit code is 0 still."""
    with server("--listen", LOOPBACK, "--grace", "1") as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            call, _ = await opened(v1.SidecarServiceStub(channel))
            busy = asyncio.ensure_future(_keep_busy(call))
            running.signal(signal.SIGTERM)
            while (await _next(call)) is not None:
                pass
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
        assert (await asyncio.to_thread(running.end))[0] == 0


async def test_an_idle_stream_does_not_hold_up_the_exit() -> None:
    """A caller that ignores Drain gets its stream ended long before the grace is over."""
    with server("--listen", LOOPBACK, "--grace", "60") as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            call, _ = await opened(v1.SidecarServiceStub(channel))
            start = time.monotonic()
            running.signal(signal.SIGTERM)
            assert await end_of(call) == (grpc.StatusCode.OK, "")
            code, _ = await asyncio.to_thread(running.end)
            assert code == 0
            assert time.monotonic() - start < 20


async def test_a_second_signal_ends_it_at_once() -> None:
    """Whoever keeps a stream busy does not keep the process: the second signal ends it."""
    with server("--listen", LOOPBACK, "--grace", "60") as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            call, _ = await opened(v1.SidecarServiceStub(channel))
            busy = asyncio.ensure_future(_keep_busy(call))
            running.signal(signal.SIGTERM)
            while (await _next(call)) not in ("drain", None):
                pass
            start = time.monotonic()
            running.signal(signal.SIGTERM)
            code, _ = await asyncio.to_thread(running.end)
            assert code == 0
            assert time.monotonic() - start < 20
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)


async def _keep_busy(call: Any) -> None:
    for number in range(1, 10**9):
        await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=number)))
        await asyncio.sleep(0.01)


async def _next(call: Any) -> str | None:
    try:
        response = await asyncio.wait_for(call.read(), 60)
    except aio.AioRpcError:
        return None
    return None if response is aio.EOF else response.WhichOneof("message")
