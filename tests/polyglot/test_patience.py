"""The defaults that take a minute to show: all clients wait for them at the same time."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fake_customerio import nobody

from .languages import LANGUAGES, Language
from .playing import Driver
from .scenarios import Scenario, numbered
from .test_polyglot import built

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES = 9
SETTINGS, PING = 4, 6
ACK = 1
WAIT_S = 100


class FrozenPeer:
    """Takes a connection, says that it speaks HTTP/2, and nothing ever again."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_S)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.began_after_s = 0.0
        """When the caller had begun to speak, from its connection on: a busy machine takes seconds for that."""
        self.asked_after_s: float | None = None
        """When the caller asked whether anybody is there, from when it had begun to speak."""
        self.left_after_s: float | None = None
        """When it gave up."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connected = time.monotonic()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(WAIT_S)
            stream = connection.makefile("rb")
            assert stream.read(len(PREFACE)) == PREFACE
            connection.sendall(bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]))
            began = time.monotonic()
            self.began_after_s = began - connected
            while len(header := stream.read(HEADER_BYTES)) == HEADER_BYTES:
                stream.read(int.from_bytes(header[:3], "big"))
                kind, flags = header[3], header[4]
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(bytes([0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0]))
                elif kind == PING and self.asked_after_s is None:
                    self.asked_after_s = time.monotonic() - began
            self.left_after_s = time.monotonic() - began

    def wait(self) -> None:
        """Waits until the caller is gone."""
        self._thread.join(WAIT_S)
        self._listener.close()


@contextlib.contextmanager
def driver(
    language: Language, address: str, connect_timeout_ms: int | None = None
) -> Iterator[Driver]:
    """A driver with one event for an address, and the client's defaults."""
    scenario = Scenario(name="", about="", call="stream", expect={}, lines=[numbered(0)])
    scenario.connect_timeout_ms = connect_timeout_ms
    found = Driver(language, scenario.opening([address], {}), scenario.lines, {}, lockstep=False)
    try:
        yield found
    finally:
        found.end()


def keeps_trying(language: Language) -> str | None:
    """Why a client does not try for ten seconds where nobody answers, if it does not."""
    began = time.monotonic()
    with nobody() as address, driver(language, address) as found:
        *_, end = found.lines()
    took_s = time.monotonic() - began
    if end["end"] == "UNAVAILABLE" and 9 <= took_s <= 40:
        return None
    return f"{language.name}: {end} after {took_s:.1f} s"


def notices(language: Language) -> str | None:
    """Why a client does not notice within a minute that its sidecar is frozen, if it does not."""
    peer = FrozenPeer()
    # Longer than the pings take: some clients count a peer that never answers as not connected.
    with driver(language, peer.address, WAIT_S * 1000):
        peer.wait()
    asked, left = peer.asked_after_s, peer.left_after_s
    if asked is not None and left is not None:
        # Some clients count from their connection on, and a busy machine is late with timers. Without the clients' own
        # settings, gRPC never asks, or waits 20 s for the answer.
        in_time = asked + peer.began_after_s >= 28 and asked <= 40
        if in_time and 8 <= left - asked <= 18:
            return None
    return f"{language.name}: asked after {asked} s, left after {left} s"


@pytest.mark.timeout(600)  # The programs may have to be built first, one after another.
def test_how_long_clients_wait() -> None:
    """10 s for a first sidecar that is not there; 30 and 10 s for one that is and says nothing."""
    here = [language for language in LANGUAGES if language.missing() is None]
    for language in here:
        built(language)
    with ThreadPoolExecutor(2 * len(here)) as pool:
        playing = [pool.submit(play, one) for one in here for play in (keeps_trying, notices)]
        problems = [problem for one in playing if (problem := one.result()) is not None]
    assert not problems, "\n".join(problems)
