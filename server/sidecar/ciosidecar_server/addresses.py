"""Addresses to listen on: their syntax, and whether other machines can reach them."""

import ipaddress
import socket
from pathlib import Path

UNIX = "unix:"


class CannotListen(Exception):
    """The server cannot listen on an address. The text says which address and what to do."""


class Exposed(CannotListen):
    """Other machines could reach an address without TLS."""


def listenable(address: str, *, protected: bool) -> tuple[str, bool]:
    """Return the address as gRPC takes it, and True if other machines can reach it.

    Args:
        address: host:port, [IPv6]:port, :port for every address of the machine, or unix:PATH.
        protected: The server has TLS, or --insecure was given.

    Raises:
        CannotListen: The address is none of these, or its host or directory does not exist.
        Exposed: Other machines can reach the address, and it is not protected.
    """
    if address.startswith(UNIX):
        _check_socket_path(address)
        return address, False
    host, _, port = address.rpartition(":")
    if not _is_port(port) or (":" in host and not _is_bracketed(host)):
        raise CannotListen(f"{address!r} is neither host:port, [IPv6]:port nor unix:PATH")
    reachable = not _is_loopback(host or "::", address)
    if reachable and not protected:
        raise Exposed(
            f"{address} can be reached from other machines, and results carry Customer.io's"
            " credentials: listen on 127.0.0.1 or unix:PATH, give --tls-cert and --tls-key, or add"
            " --insecure if the network is trusted"
        )
    return (address if host else f"[::]{address}"), reachable


def _is_port(port: str) -> bool:
    return port.isascii() and port.isdecimal() and int(port) < 65_536


def _is_bracketed(host: str) -> bool:
    return host.startswith("[") and host.endswith("]")


def _is_loopback(host: str, address: str) -> bool:
    """Return True if a host, by name or address, has loopback addresses only."""
    try:
        addresses = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CannotListen(
            f"cannot listen on {address}: there is no such host; give another address with --listen"
        ) from None
    return all(_is_loopback_ip(str(sockaddr[0])) for *_, sockaddr in addresses)


def _is_loopback_ip(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _check_socket_path(address: str) -> None:
    """Check that no server listens on a socket file: gRPC would replace the file."""
    path = Path(address.removeprefix(UNIX).removeprefix("//"))
    if not path.parent.is_dir():
        raise CannotListen(f"cannot listen on {address}: the directory does not exist")
    if not path.exists():
        return
    if not path.is_socket():
        raise CannotListen(f"cannot listen on {address}: there is a file that is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise CannotListen(f"cannot listen on {address}: another server listens on it")
