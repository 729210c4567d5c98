"""A real redis-server on a port of its own, ended by process id."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.engines.programs import need
from tests.ports import free_port

WITHIN_S = 60


class RedisServer:
    """A server that can be stopped, killed and started again on its port."""

    def __init__(self, directory: Path, flags: tuple[str, ...]) -> None:
        self._command = [need("redis-server", "redis-server"), "--dir", str(directory)]
        self.port = free_port()
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL for --rate-store."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self._flags]
        self._process = subprocess.Popen(
            [*self._command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + WITHIN_S
        while not self._answers():
            assert time.monotonic() < until
            assert self._process.poll() is None
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False

    def client(self) -> redis.Redis:
        """Return a client for the test."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=WITHIN_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it, also when it is stopped."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(WITHIN_S)
            self._process = None


@contextmanager
def redis_server(directory: Path, *flags: str) -> Iterator[RedisServer]:
    """Run a server while the block lasts."""
    server = RedisServer(directory, flags)
    try:
        server.start()
        yield server
    finally:
        server.kill()
