"""A name server that a test breaks, and the namespace of processes that ask it."""

import asyncio
import os
import random
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

_UNSHARE = ("unshare", "--map-root-user", "--mount", "sh", "-c")
_BIND = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
_PORT = 53
"""The only port that the system's resolver asks."""
_TYPE_A = b"\x00\x01"
_NO_ERROR, _SERVER_FAILURE = 0x8180, 0x8182


class NameServer(asyncio.DatagramProtocol):
    """Answers with 127.0.0.1, fails, or does not answer at all."""

    def __init__(self) -> None:
        self.silent: set[bytes] = set()
        """First labels of the names that get no answer, or a late one."""
        self.failing: set[bytes] = set()
        """First labels of the names whose answer is SERVFAIL."""
        self.asked: list[bytes] = []
        """The first labels that were asked for, in order."""
        self._late: list[tuple[bytes, tuple[str, int]]] = []
        self.before: tuple[str, ...] = ()
        """The command by which another command asks this name server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a query."""
        name = data[13 : 13 + data[12]]
        self.asked.append(name)
        if name in self.silent:
            self._late.append((data, addr))
        else:
            self._answer(name, data, addr)

    def answer_late(self) -> None:
        """Answer the queries that got no answer."""
        late, self._late = self._late, []
        for data, addr in late:
            self._answer(data[13 : 13 + data[12]], data, addr)

    def _answer(self, name: bytes, data: bytes, addr: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5  # the name's end, type and class
        question = data[12:end]
        answers = question[-4:-2] == _TYPE_A and name not in self.failing
        flags = _SERVER_FAILURE if name in self.failing else _NO_ERROR
        head = data[:2] + flags.to_bytes(2, "big") + bytes((0, 1, 0, int(answers), 0, 0, 0, 0))
        # A pointer to the name, type A, class IN, no time to live, four bytes.
        answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01"
        self._transport.sendto(head + question + (answer if answers else b""), addr)


@asynccontextmanager
async def name_server(directory: Path) -> AsyncIterator[NameServer]:
    """Run a name server while the block lasts. Skips the test where that is not permitted.

    directory: Where to write the file that names it.
    """
    # No other test has this address, and no name server of the machine.
    address = ".".join(("127", *(str(random.randint(1, 254)) for _ in range(3))))
    configuration = directory / "resolv.conf"
    # The resolver asks once more after the time limit: not while a test lasts.
    configuration.write_text(f"nameserver {address}\noptions timeout:30\n")
    before = (*_UNSHARE, _BIND, str(configuration))
    try:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind((address, _PORT))
    except PermissionError as refused:
        _skip(f"port 53 of loopback cannot be bound: {refused}")
    with bound:
        if problem := _problem(before):
            _skip(f"no namespace can have a name server of its own here: {problem}")
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(NameServer, sock=bound)
        server.before = before
        try:
            yield server
        finally:
            transport.close()


def _problem(before: tuple[str, ...]) -> str:
    if shutil.which("unshare") is None:
        return "there is no unshare"
    done = subprocess.run(
        [*before, "true"], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stderr.strip() if done.returncode else ""


def _skip(reason: str) -> None:
    (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)(reason)
