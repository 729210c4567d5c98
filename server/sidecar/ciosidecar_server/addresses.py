"""Addresses to listen on: how they are written, and whether others than this machine can reach them."""

import ipaddress
import socket
from pathlib import Path

UNIX = "unix:"


class CannotListen(Exception):
    """An address cannot be listened on; the text says which and what to do."""


class Exposed(CannotListen):
    """Others could reach an address, and nothing would be encrypted there."""


def listenable(address: str, *, protected: bool) -> tuple[str, bool]:
    """Return the address as gRPC takes it, and whether other machines can reach it.

    address: host:port, [IPv6]:port, :port for every address of the machine, or unix:PATH.
    protected: whether it has TLS, or goes without on purpose.

    Raises:
        CannotListen: it is none of these, or its host or directory does not exist.
        Exposed: other machines can reach it, and it is not protected.
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
            " --insecure if nobody else is on that network"
        )
    return (address if host else f"[::]{address}"), reachable


def _is_port(port: str) -> bool:
    return port.isascii() and port.isdecimal() and int(port) < 65_536


def _is_bracketed(host: str) -> bool:
    return host.startswith("[") and host.endswith("]")


def _is_loopback(host: str, address: str) -> bool:
    """Whether a host stands for nothing but loopback addresses, by whatever name it goes."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CannotListen(
            f"cannot listen on {address}: there is no such host; name another with --listen"
        ) from None
    return all(_is_loopback_ip(str(one[4][0])) for one in found)


def _is_loopback_ip(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _check_socket_path(address: str) -> None:
    """gRPC takes a socket file over from whoever listens on it: ask first."""
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
    raise CannotListen(f"cannot listen on {address}: another server does")
