"""`serve` under systemd: Type=notify, as sd_notify(3) describes it."""

import json
import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import COMMAND, TIMEOUT_S

SERVE = (*COMMAND, "serve", "--listen", "127.0.0.1:0")
ENV = os.environ | {"CIOSIDECAR_ADMIN_LISTEN": "127.0.0.1:0"}


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "workers"])
@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_service_manager_hears_of_readiness(
    tmp_path: Path, workers: tuple[str, ...], *, abstract: bool
) -> None:
    """READY=1 arrives once, when the server listens, however many workers it has."""
    name = f"ciosidecar-test-{os.getpid()}"
    path = tmp_path / "notify"
    address = f"@{name}" if abstract else str(path)
    with ExitStack() as stack:
        manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(f"\0{name}" if abstract else str(path))
        manager.settimeout(TIMEOUT_S)
        process = stack.enter_context(
            subprocess.Popen(
                (*SERVE, *workers),
                stdout=subprocess.PIPE,
                env=ENV | {"NOTIFY_SOCKET": address},
            )
        )
        stack.callback(process.kill)
        assert manager.recv(100) == b"READY=1"
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        manager.settimeout(0)
        with pytest.raises(BlockingIOError):
            manager.recv(100)


@pytest.mark.parametrize("address", ["", "nonsense", "/no/such/socket", "@no-such-socket"])
def test_a_service_manager_that_cannot_be_reached_is_no_failure(address: str) -> None:
    """The server serves all the same."""
    with subprocess.Popen(
        SERVE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV | {"NOTIFY_SOCKET": address}
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["ready"] is True
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=TIMEOUT_S)
            assert (process.returncode, b"Traceback" in errors) == (0, False)
        finally:
            process.kill()
