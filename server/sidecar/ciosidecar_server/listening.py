"""Binding of a gRPC server's addresses, with the reason why one cannot be bound.

gRPC says only that an address cannot be bound. So a probe socket is bound first and closed again: its error is the
reason. Where an address is lost between the probe and gRPC, the message says that, too.
"""

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

import grpc
from grpc import aio

from .addresses import (
    AbstractAddress,
    Address,
    CannotListen,
    TcpAddress,
    UnixAddress,
    can_be_reached,
    check_protected,
    parse_address,
    why_not_bound,
)
from .settings import Settings
from .unix_sockets import SocketAccess, socket_access, socket_file

_ANY_IPV4 = "0.0.0.0"  # noqa: S104 - a constant to compare with
_log = logging.getLogger(__name__)

Credentials = Callable[[], grpc.ServerCredentials]
"""Returns credentials for one port. Each port needs its own, because each asks them for new certificates."""


def listen(server: aio.Server, settings: Settings, credentials: Credentials | None) -> list[str]:
    """Bind the addresses of the settings to a server.

    Args:
        server: The server. It must not have been started.
        settings: The settings with the addresses.
        credentials: The server's TLS. None: no TLS.

    Returns:
        The addresses, with the ports that were taken.

    Raises:
        CannotListen: An address cannot be used.
    """
    addresses, access = checked_addresses(settings)
    bound = [_bind(server, address, credentials, access) for address in addresses]
    for name, address in zip(bound, addresses, strict=True):
        if credentials is None and can_be_reached(address):
            _warn_of_plaintext(name, with_token=settings.auth_token_file is not None)
    return bound


def checked_addresses(settings: Settings) -> tuple[list[Address], SocketAccess | None]:
    """Return the addresses of the settings, and the permissions of their socket files. Bind nothing.

    Raises:
        CannotListen: An address or a permission is malformed, or a host is not known.
        Exposed: Other machines can reach an address, without TLS and without --insecure.
    """
    addresses = [parse_address(text) for text in settings.listen]
    protected = settings.insecure or settings.tls_cert is not None
    for address in addresses:
        check_protected(address, protected=protected)
    return addresses, socket_access(settings.socket_mode, settings.socket_group, addresses)


def _warn_of_plaintext(address: str, *, with_token: bool) -> None:
    _log.warning(
        "%s can be reached from other machines without TLS: events and credentials are readable on"
        " the network%s",
        address,
        ", and so are the bearer tokens" if with_token else "",
    )


def _bind(
    server: aio.Server,
    address: Address,
    credentials: Credentials | None,
    access: SocketAccess | None,
) -> str:
    if isinstance(address, TcpAddress):
        return _bind_tcp(server, address, credentials)
    if isinstance(address, UnixAddress):
        with socket_file(address, access):
            _probe_unix(address)
            _add(address, lambda: server.add_insecure_port(f"unix:{address.path}"))
    else:
        _probe_abstract(address)
        _add(address, lambda: server.add_insecure_port(address.text))
    return address.text


def _bind_tcp(server: aio.Server, address: TcpAddress, credentials: Credentials | None) -> str:
    ips = address.ips()
    _probe_tcp(address, ips)
    only_ipv4 = ips == [_ANY_IPV4]
    with _no_ipv6(address.port) if only_ipv4 else nullcontext(address.port) as port:
        target = f"{_ANY_IPV4}:{port}" if only_ipv4 else address.at(port)
        if credentials is None:
            taken = _add(address, lambda: server.add_insecure_port(target))
        else:
            own = credentials()
            taken = _add(address, lambda: server.add_secure_port(target, own))
    return f"{_ANY_IPV4}:{taken}" if only_ipv4 else address.at(taken)


def _add(address: Address, add_port: Callable[[], int]) -> int:
    port = 0
    with suppress(RuntimeError):
        port = add_port()
    if port == 0:
        raise CannotListen(
            f"cannot listen on {address.text}: gRPC could not bind it, though it was free a moment ago:"
            " start again, or give another address with --listen"
        )
    return port


@contextmanager
def _no_ipv6(port: int) -> Iterator[int]:
    """Keep gRPC from the IPv6 half of a port, and yield the port, a free one for 0.

    gRPC binds [::] for 0.0.0.0, and binds 0.0.0.0 only if [::] is taken. So a socket of ours takes [::] meanwhile.
    """
    with socket.socket(socket.AF_INET) as ipv4:
        if port == 0:
            ipv4.bind((_ANY_IPV4, 0))
            port = ipv4.getsockname()[1]
        holder = _hold_ipv6(port)
    with holder or nullcontext():
        yield port


def _hold_ipv6(port: int) -> socket.socket | None:
    """Take a port of IPv6. Return None if there is no IPv6, or another program has the port: gRPC fails there, too."""
    try:
        holder = socket.socket(socket.AF_INET6)
    except OSError:
        return None
    try:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Without it, connections that ended within the last minute would keep the port from the holder only.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("::", port))
        holder.listen()
    except OSError:
        holder.close()
        return None
    return holder


def _probe_tcp(address: TcpAddress, ips: list[str]) -> None:
    """Raise CannotListen if an address cannot be bound.

    A name may have addresses that this machine lacks, such as ::1 of localhost without IPv6. One that can be bound is
    enough, but none may be taken.
    """
    problems = [problem for ip in ips if (problem := _bind_problem(ip, address.port))]
    for problem in problems:
        if len(problems) == len(ips) or problem.errno in (errno.EADDRINUSE, errno.EACCES):
            raise CannotListen(
                f"cannot listen on {address.text}: {why_not_bound(problem, address.port, '--listen')}"
            )


def _bind_problem(ip: str, port: int) -> OSError | None:
    """Return what binding a port as gRPC does fails with."""
    family, _, _, _, sockaddr = socket.getaddrinfo(ip, port, type=socket.SOCK_STREAM)[0]
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ip == "::":
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(sockaddr)
    except OSError as problem:
        if ip == "::" and problem.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return _bind_problem(_ANY_IPV4, port)  # a machine without IPv6, as gRPC does
        return problem
    return None


def _probe_unix(address: UnixAddress) -> None:
    """Raise CannotListen if a socket's file cannot be made, for example because the disk is full."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(address.path))
    except OSError as problem:
        room = "make room there, or " if problem.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise CannotListen(
            f"cannot listen on {address.text}: {problem.strerror}: {room}give another path with --listen"
        ) from None
    address.path.unlink()


def _probe_abstract(address: AbstractAddress) -> None:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(f"\0{address.name}")
    except OSError as problem:
        why = problem.strerror
        if problem.errno == errno.EADDRINUSE:
            why = (
                "another server listens on it: stop that server, or give another name with --listen"
            )
        raise CannotListen(f"cannot listen on {address.text}: {why}") from None
