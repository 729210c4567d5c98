"""Probes that notice when the caller's machine, the proxy, the sandbox or the sidecar gets no CPU, and note when."""

import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.chaos.books import Fault
from tests.chaos.proxy import Proxy
from tests.chaos.sidecars import Sidecars

EVERY_S = 0.25
LATE_S = 0.5
"""Each probe takes some milliseconds. One that takes longer than this shows that a program got no CPU."""
_TIMEOUT_S = 30.0


class Probes:
    """A thread for each probe, while the block lasts."""

    def __init__(self, between: Proxy, sandbox_url: str, serving: Sidecars, ca: Path) -> None:
        self.starved: list[Fault] = []
        self._between = between
        self._serving = serving
        self._credentials = grpc.ssl_channel_credentials(ca.read_bytes())
        self._sandbox = httpx.Client(
            base_url=sandbox_url,
            verify=ssl.create_default_context(cafile=str(ca)),
            timeout=_TIMEOUT_S,
        )
        self._channel: grpc.Channel | None = None
        self._health: Any = None
        self._channel_after = -1
        """The number of the sidecar's faults when the channel was opened."""
        self._enough = threading.Event()
        probes = {
            "machine": self._wake,
            "proxy": self._ask_proxy,
            "sandbox": self._ask_sandbox,
            "sidecar": self._ask_sidecar,
        }
        self._threads = [
            threading.Thread(target=self._run, args=probe, name=f"probe {probe[0]}", daemon=True)
            for probe in probes.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()
        self._sandbox.close()
        if self._channel is not None:
            self._channel.close()

    def _run(self, name: str, probe: Callable[[], bool]) -> None:
        # The pause before a probe may be too long too.
        due = time.time() + EVERY_S
        while not self._enough.wait(EVERY_S):
            shows_something = probe()
            end = time.time()
            if shows_something and end - due > LATE_S:
                self.starved.append(Fault("starved", name, due, end))
            due = end + EVERY_S

    def _wake(self) -> bool:
        """Sleep, and return True: only this process's threads can make it late."""
        time.sleep(0.01)
        return True

    def _ask_proxy(self) -> bool:
        """Let the proxy's loop do nothing, and return True."""

        async def nothing() -> None:
            pass

        with suppress(TimeoutError):
            self._between.run(nothing)
        return True

    def _ask_sandbox(self) -> bool:
        """Ask the sandbox, not through the proxy. Return True unless the sandbox is not there."""
        try:
            self._sandbox.get("/sandbox/faults")
        except httpx.TransportError as failure:
            return isinstance(failure, httpx.TimeoutException)
        return True

    def _ask_sidecar(self) -> bool:
        """Ask the sidecar, not through the proxy. Return True if no injected fault concerned it meanwhile."""
        number = self._serving.begun
        if number > len(self._serving.faults):
            return False
        if self._channel_after != number:
            self._open_channel(number)
        try:
            self._health.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except grpc.RpcError as failure:
            is_late = failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return is_late and self._serving.begun == number
        return self._serving.begun == number

    def _open_channel(self, number: int) -> None:
        if self._channel is not None:
            self._channel.close()
        host, port = self._serving.upstream
        self._channel = grpc.secure_channel(
            f"{host}:{port}", self._credentials, [("grpc.use_local_subchannel_pool", 1)]
        )
        self._health = health_pb2_grpc.HealthStub(self._channel)
        self._channel_after = number
