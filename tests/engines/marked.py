"""Processes of a command, found by a mark in their environment: also those whose parents are gone."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

_NAME = "CIOSIDECAR_MARKED"


class Marked:
    """A command with its processes."""

    def __init__(self) -> None:
        self._mark = f"{_NAME}={uuid.uuid4().hex}"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment to start the command with. Its processes inherit it."""
        name, _, value = self._mark.partition("=")
        return os.environ | {name: value} | more

    def has(self, process: Path) -> bool:
        """Return whether a directory of /proc is of one of the processes."""
        return self._mark.encode() in (process / "environ").read_bytes().split(b"\0")

    def processes(self) -> Iterator[Path]:
        """Yield the directories in /proc of the processes that there are."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.has(process):
                    yield process
            except OSError:
                continue

    def commands(self) -> dict[int, str]:
        """Return the command lines of the processes by their ids."""
        found = {}
        for process in self.processes():
            try:
                line = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if line:
                found[int(process.name)] = (
                    line.replace(b"\0", b" ").decode(errors="replace").strip()
                )
        return found

    def listening(self) -> set[str]:
        """Return the addresses at which the processes listen for TCP, as /proc writes them, in hexadecimal."""
        sockets = set()
        for process in self.processes():
            for descriptor in (process / "fd").glob("*"):
                try:
                    sockets.add(str(descriptor.readlink()))
                except OSError:
                    continue
        tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
        return {
            row[1].partition(":")[0]
            for row in rows
            if row[3] == "0A" and f"socket:[{row[9]}]" in sockets
        }
