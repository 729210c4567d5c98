"""The proxy injects each fault into one connection, at the bytes that it names, and notes it."""

import gc
import random
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from tests.chaos.proxy import Link, Proxy

DICE = random.Random(1)
TIMEOUT_S = 20


class _Echo:
    """A server that answers each piece of bytes with itself, and keeps what it received."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listening.getsockname()
        self.received: list[bytes] = []
        self.peers: list[str] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, (host, port) = self._listening.accept()
        self.peers.append(f"{host}:{port}")
        with connection:
            try:
                while piece := connection.recv(1000):
                    self.received.append(piece)
                    connection.sendall(piece)
            except OSError:
                pass
        self.ended.set()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[_Echo]:
    """A server behind the proxy."""
    server = _Echo()
    yield server
    server.close()


@pytest.fixture
def proxied(echo: _Echo) -> Iterator[tuple[Proxy, Link, socket.socket]]:
    """A proxy, and a connection through it that has answered once."""
    with Proxy() as proxy:
        link = proxy.link("customerio", echo.address)
        with socket.create_connection(("127.0.0.1", link.port), TIMEOUT_S) as client:
            client.sendall(b"first")
            assert client.recv(1000) == b"first"
            yield proxy, link, client


def _ends(client: socket.socket) -> bool:
    """Return True if the connection ends without a byte."""
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    ("kind", "arrives"), [("cut", False), ("cut before", False), ("cut after", True)]
)
def test_a_cut_before_or_after_the_server_has_the_bytes(
    proxied: tuple[Proxy, Link, socket.socket], echo: _Echo, kind: str, arrives: bool
) -> None:
    """The client sees the same; the server has the bytes, or not."""
    proxy, link, client = proxied
    assert proxy.inject("customerio", kind, DICE)
    try:
        client.sendall(b"second")
        assert _ends(client)
    except (BrokenPipeError, ConnectionResetError):
        assert kind == "cut"
    assert echo.ended.wait(TIMEOUT_S)
    assert (b"second" in echo.received) is arrives
    (fault,) = link.faults
    assert (fault.kind, fault.link, fault.peer) == (kind, "customerio", echo.peers[0])
    assert fault.start <= fault.end


@pytest.mark.parametrize("kind", ["corrupt before", "corrupt after"])
def test_one_bit_is_changed_once(
    proxied: tuple[Proxy, Link, socket.socket], echo: _Echo, kind: str
) -> None:
    """Of the client's next bytes, or of the server's; those after them are whole."""
    proxy, _, client = proxied
    assert proxy.inject("customerio", kind, DICE)
    sent = b"ten bytes!"
    client.sendall(sent)
    answer = client.recv(1000)
    assert len(answer) == len(sent)
    assert sum((a ^ b).bit_count() for a, b in zip(sent, answer, strict=True)) == 1
    assert (echo.received[1] == sent) is (kind == "corrupt after")
    client.sendall(sent)
    assert client.recv(1000) == sent


def test_half_open_passes_nothing_on_and_is_cut_in_the_end(
    proxied: tuple[Proxy, Link, socket.socket], echo: _Echo
) -> None:
    """The connection stays for some seconds, and the server never has the bytes."""
    proxy, link, client = proxied
    assert proxy.inject("customerio", "half-open", DICE)
    client.sendall(b"second")
    assert _ends(client)
    assert echo.ended.wait(TIMEOUT_S)
    assert echo.received == [b"first"]
    assert link.faults[0].end - link.faults[0].start > 0.5


@pytest.mark.parametrize("kind", ["delay", "throttle"])
def test_a_slow_connection_loses_nothing(
    proxied: tuple[Proxy, Link, socket.socket], kind: str
) -> None:
    """The bytes arrive later, in order."""
    proxy, _, client = proxied
    assert proxy.inject("customerio", kind, DICE)
    for number in range(5):
        client.sendall(b"%d" % number)
        assert client.recv(1000) == b"%d" % number


def test_there_is_no_fault_without_a_connection(echo: _Echo) -> None:
    """A connection that has not answered yet is none, and one fault at a time is enough."""
    with Proxy() as proxy:
        link = proxy.link("customerio", echo.address)
        assert not proxy.inject("customerio", "cut", DICE)
        with socket.create_connection(("127.0.0.1", link.port), TIMEOUT_S) as client:
            client.sendall(b"first")
            assert client.recv(1000) == b"first"
            assert proxy.inject("customerio", "delay", DICE)
            assert not proxy.inject("customerio", "cut", DICE)


def _full_server() -> tuple[socket.socket, list[socket.socket]]:
    """Return a server that accepts nothing, and the connections that fill its queue."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    for _ in range(3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(listening.getsockname())
        waiting.append(client)
    return listening, waiting


def test_the_proxy_ends_with_connections_in_every_state() -> None:
    """Just accepted, on the way to the server, and with bytes that the client does not read: none stays open."""
    listening, waiting = _full_server()
    much = b"x" * 5_000_000
    with (
        closing(listening),
        socket.create_server(("127.0.0.1", 0)) as talkative,
        ExitStack() as stack,
    ):
        for client in waiting:
            stack.enter_context(closing(client))
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            with Proxy() as proxy:
                full = proxy.link("full", listening.getsockname())
                talking = proxy.link("talking", talkative.getsockname())
                clients = [_client(stack, talking)]
                server, _ = talkative.accept()
                sending = threading.Thread(target=_send_and_close, args=(server, much))
                sending.start()
                clients += [_client(stack, full) for _ in range(20)]
                assert clients[0].recv(1) == b"x"
                # With its last clients not accepted yet, most likely.
                clients += [_client(stack, talking) for _ in range(20)]
            sending.join(TIMEOUT_S)
            gc.collect()
        assert [str(one.message) for one in found if one.category is ResourceWarning] == []
        for client in clients[1:]:
            assert _ends(client)


def _client(stack: ExitStack, link: Link) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", link.port), TIMEOUT_S))


def _send_and_close(server: socket.socket, data: bytes) -> None:
    with server, suppress(OSError):
        server.sendall(data)
