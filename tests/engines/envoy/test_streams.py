"""What Envoy's settings do to streams that are idle, that carry a trace, or whose sidecar freezes."""

import contextlib
import signal
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import v1

from tests.polyglot.languages import LANGUAGES

from . import proxy
from .callers import Caller, finish, stream_on
from .certificates import Certificates
from .configuration import committed
from .judging import Faults, problems
from .standing import ADMIN, LISTENER, cluster, connection_manager, standing

pytestmark = [pytest.mark.usefixtures("_drivers"), pytest.mark.timeout(900)]

# Longer than an event takes on a busy machine: a stream with an unanswered event is idle for Envoy, too.
IDLE_S = 1.0


def test_a_stream_that_envoy_ends_as_idle_is_opened_anew(tmp_path: Path) -> None:
    """If callers are silent for longer than `stream_idle_timeout`, no event is lost in any language."""

    def impatient(configuration: dict[str, Any]) -> None:
        connection_manager(configuration)["stream_idle_timeout"] = f"{IDLE_S}s"

    with contextlib.ExitStack() as stack:
        stands = stack.enter_context(standing(tmp_path, change=impatient))
        stands.envoy.wait_until_healthy(3)
        callers = [Caller(language, stands.opening(), pause_s=2 * IDLE_S) for language in LANGUAGES]
        for caller in callers:
            stack.callback(caller.stop)
        # What was sent while a program started is read without pauses.
        stream_on(callers, 1)
        stream_on(callers, 3)
        finish(callers)
        found = problems(callers, stands.fleet.arrivals(), Faults())
        lines = stands.envoy.access_log()
    assert not found, "\n".join(found[:20])
    idle = {line["user_agent"].partition("/")[0] for line in lines if line["flags"] == "SI"}
    assert len(idle) == len(LANGUAGES), idle


def test_a_frozen_sidecar_is_left(tmp_path: Path) -> None:
    """SIGSTOP: the ping that it does not answer breaks the connection, and the stream goes on elsewhere."""

    def hasty(configuration: dict[str, Any]) -> None:
        options = cluster(configuration)["typed_extension_protocol_options"]
        (http,) = options.values()
        http2 = http["explicit_http_config"]["http2_protocol_options"]
        http2["connection_keepalive"] = {"interval": "1s", "timeout": "2s"}

    faults = Faults()
    with contextlib.ExitStack() as stack:
        stands = stack.enter_context(standing(tmp_path, change=hasty))
        stands.envoy.wait_until_healthy(3)
        caller = Caller(LANGUAGES[0], stands.opening())
        stack.callback(caller.stop)
        caller.wait_for_answers(20)
        frozen = stands.busy_sidecar()
        with faults.fault():
            frozen.send_signal(signal.SIGSTOP)
            caller.wait_for_answers(50)
            assert stands.envoy.active_calls()[frozen.port] == 0
            frozen.send_signal(signal.SIGCONT)
        finish([caller])
        found = problems([caller], stands.fleet.arrivals(), faults)
    assert not found, "\n".join(found[:20])


@contextlib.contextmanager
def _listening(certificates: Certificates, seen: list[dict[str, str]]) -> Iterator[int]:
    """A server in a sidecar's place, which remembers the metadata of calls. Yields its port."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, call: Any) -> Any:
            def answer(_request: bytes, _context: Any) -> bytes:
                if call.method.endswith("GetCapabilities"):
                    seen.append(dict(call.invocation_metadata))
                    return b""
                # The health check: status SERVING.
                return b"\x08\x01"

            return grpc.unary_unary_rpc_method_handler(answer)

    names = ("sidecar-key.pem", "sidecar.pem", "sidecars-ca.pem")
    key, chain, authority = (Path(certificates.file(name)).read_bytes() for name in names)
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Handler()])
    credentials = grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait(10)


def test_trace_headers_and_tokens_pass(tmp_path: Path) -> None:
    """The sidecar sees `traceparent`, `tracestate` and `authorization` as they were sent."""
    certificates, seen = Certificates(tmp_path / "tls"), list[dict[str, str]]()
    sent = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "vendor=1",
        "authorization": "Bearer an-example-of-a-token",
    }
    with _listening(certificates, seen) as sidecar, proxy.reserved_port() as port:
        addresses = {LISTENER: ("127.0.0.1", port), ADMIN: ("127.0.0.1", 0)} | {
            (f"sidecar-{number}", 50550): ("127.0.0.1", sidecar) for number in (1, 2, 3)
        }
        configuration = committed(addresses, certificates.directory)
        with proxy.running(configuration, tmp_path / "envoy") as envoy:
            envoy.wait_until_healthy(3)
            files = certificates.caller_files()
            credentials = grpc.ssl_channel_credentials(
                *(
                    Path(files[name]).read_bytes()
                    for name in ("ca_file", "key_file", "certificate_file")
                )
            )
            with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
                stub: Any = v1.SidecarServiceStub(channel)
                request = v1.GetCapabilitiesRequest()
                stub.GetCapabilities(request, metadata=tuple(sent.items()), timeout=60)
            (line,) = envoy.access_log(at_least=1)
    (received,) = seen
    assert sent.items() <= received.items()
    assert line["traceparent"] == sent["traceparent"]
    assert "an-example-of-a-token" not in str(line)
