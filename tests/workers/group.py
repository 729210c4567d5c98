"""A parent of workers as a process, and what the system knows of its children."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from ciosidecar import v1

from tests.processes import TIMEOUT_S, Server, server

LOOPBACK = "127.0.0.1:0"


@contextmanager
def group(number: int, *arguments: str, listen: str = LOOPBACK) -> Iterator[Server]:
    """Yield `ciosidecar serve --workers NUMBER`."""
    words = ("--workers", str(number), "--listen", listen, "--admin-listen", LOOPBACK)
    with server(*words, *arguments) as running:
        yield running


def pids(running: Server) -> list[int]:
    """Return the workers' process ids, from the ready line."""
    return [worker["pid"] for worker in running.ready_line["workers"]]


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run, in order of their start."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append((int(fields[19]), int(folder.name)))
    return [child for _, child in sorted(found)]


def first_child(pid: int) -> int:
    """Wait for the first process that a process starts, and return its id."""
    watched = os.pidfd_open(pid)
    try:
        while not (found := children(pid)):
            ended, _, _ = select.select([watched], [], [], 0.01)
            assert not ended, "it ended without a child"
        return found[0]
    finally:
        os.close(watched)


class Watched:
    """Processes whose end is waited for, whoever started them."""

    def __init__(self, *numbers: int) -> None:
        self._descriptors = [os.pidfd_open(pid) for pid in numbers]

    def end(self, within_s: float = TIMEOUT_S) -> None:
        """Wait until all have ended."""
        for descriptor in self._descriptors:
            ended, _, _ = select.select([descriptor], [], [], within_s)
            assert ended, "a process is left"
            os.close(descriptor)


def answers(address: str) -> str:
    """Wait for a server at an address, and return its version."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        request = v1.GetCapabilitiesRequest()
        capabilities = stub.GetCapabilities(request, timeout=TIMEOUT_S, wait_for_ready=True)
        return str(capabilities.server_version)
