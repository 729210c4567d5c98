"""The address of the admin port, and the sockets that listen on it."""

import ipaddress
import os
import re
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from ..addresses import CannotListen, why_not_bound

OFF = "none"
_FLAG = "--admin-listen"
_ADDRESS = re.compile(r"(?P<host>\[[^][]*\]|[^][:]*):(?P<port>[0-9]{1,5})", re.ASCII)
_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class AdminSockets:
    """Sockets that are bound to the admin port."""

    sockets: list[socket.socket]
    address: str
    """host:port, with the port that was taken."""
    host: str
    loopback: bool
    """True if no other machine can reach the port."""


def parse(listen: str) -> re.Match[str]:
    """Return the host and the port of an address, by these names.

    Raises:
        CannotListen: The text is no address.
    """
    match = _ADDRESS.fullmatch(listen)
    if match is None or int(match["port"]) > 65_535:
        raise CannotListen(f"{_FLAG} {listen!r} is neither host:port, [IPv6]:port, :port nor {OFF}")
    return match


def bind(listen: str) -> AdminSockets:
    """Bind sockets to all addresses of a host.

    Args:
        listen: host:port, [IPv6]:port, or :port for every address of the machine. Port 0 takes any free port.

    Raises:
        CannotListen: The address is none of these, has no such host, or is taken.
    """
    match = parse(listen)
    host = match["host"].strip("[]")
    addresses = _addresses(host or "::", listen)
    with ExitStack() as on_failure:
        sockets: list[socket.socket] = []
        port = int(match["port"])
        for ip in addresses:
            sockets.append(on_failure.enter_context(_bound(ip, port, listen, dual=not host)))
            port = sockets[0].getsockname()[1]
        on_failure.pop_all()
    name = match["host"] or "[::]"
    loopback = all(_is_loopback(ip) for ip in addresses)
    return AdminSockets(sockets, f"{name}:{port}", host.lower(), loopback)


def _addresses(host: str, listen: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CannotListen(f"{_FLAG} {listen}: there is no such host") from None
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _bound(ip: str, port: int, listen: str, *, dual: bool) -> socket.socket:
    version = socket.AF_INET6 if ":" in ip else socket.AF_INET
    dualstack = dual and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            (ip, port), family=version, backlog=_BACKLOG, dualstack_ipv6=dualstack
        )
    except OSError as problem:
        raise CannotListen(
            f"{_FLAG} {listen}: cannot listen on it ({_system_reason(problem)}):"
            f" {why_not_bound(problem, port, _FLAG)}; port 0 is any free port, {OFF} turns the admin port off"
        ) from None


def _system_reason(problem: OSError) -> str:
    # Python adds the address to strerror.
    return os.strerror(problem.errno) if problem.errno else str(problem)


def _is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
