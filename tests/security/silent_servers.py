"""Servers with TLS that are no sidecars: one says nothing, one answers as Envoy does without a healthy sidecar."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from tests.security.pem import NAMES

_TIMEOUT_S = 60.0
_UNIMPLEMENTED, _UNAVAILABLE = "12", "14"
_Serve = Callable[[ssl.SSLSocket], None]


@contextmanager
def tls_server(authority: trustme.CA, serve: _Serve) -> Iterator[str]:
    """Return the address of a server. It serves each connection in a thread, and ends with the block."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*NAMES).configure_cert(context)
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets = [listener]

    def handle(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            open_sockets.append(secured)
            serve(secured)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(_TIMEOUT_S)
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for each in open_sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def say_nothing(connection: ssl.SSLSocket) -> None:
    """Read until the caller ends the connection."""
    while connection.recv(65_536):
        pass


def answer_no_healthy_upstream(connection: ssl.SSLSocket) -> None:
    """Answer each call with UNAVAILABLE. As Envoy, wait for the caller's preface before saying anything.

    deploy/envoy/envoy.yaml answers Health/Watch with UNIMPLEMENTED, and so does this server.
    """
    http2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    while received := connection.recv(65_536):
        if http2.state_machine.state.name == "IDLE":
            http2.initiate_connection()
        for event in http2.receive_data(received):
            if isinstance(event, RequestReceived):
                is_watch = (b":path", b"/grpc.health.v1.Health/Watch") in event.headers
                trailers = [
                    (":status", "200"),
                    ("content-type", "application/grpc"),
                    ("grpc-status", _UNIMPLEMENTED if is_watch else _UNAVAILABLE),
                    ("grpc-message", "" if is_watch else "no healthy upstream"),
                ]
                http2.send_headers(event.stream_id, trailers, end_stream=True)
        connection.sendall(http2.data_to_send())
