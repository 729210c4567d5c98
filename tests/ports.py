"""Ports for servers whose port is known before they start, or is kept while they are ended and started again.

The system gives the ports of its own range to outgoing connections and to servers at port 0. A port of that range that
is free when a test looks may be taken when its server starts: beside other tests, this happens.
"""

import random
import socket
from contextlib import ExitStack
from pathlib import Path

_LOWEST, _HIGHEST = 10_000, 65_536
_DICE = random.SystemRandom()
"""Tests that run side by side look at different ports."""


def free_port(in_a_row: int = 1) -> int:
    """Return a port of loopback that no program has, outside the system's own range where there is room.

    in_a_row: how many ports must be free, from the returned one on.
    """
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    candidates = [*range(_LOWEST, first - in_a_row + 1), *range(last + 1, _HIGHEST - in_a_row + 1)]
    while True:
        port = _DICE.choice(candidates) if candidates else 0
        try:
            return _bound(port, in_a_row)
        except (OSError, OverflowError):
            continue


def _bound(port: int, in_a_row: int) -> int:
    """Return the first of some ports, if each can be bound."""
    with ExitStack() as stack:
        for offset in range(in_a_row):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", port and port + offset))
            port = port or probe.getsockname()[1]
    return port
