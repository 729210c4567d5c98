"""Addresses to listen on: their syntax, and whether other machines can reach them."""

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

UNIX = "unix:"
ABSTRACT = "unix-abstract:"
_MAX_UNIX_BYTES = 107  # sun_path has 108 bytes, the last of which is 0
_FORMS = "host:port, [IPv6]:port, :port, unix:PATH or unix-abstract:NAME"
# Clients read these as the start of a query, of a fragment or of an escaped byte, and connect to another path.
_READ_OTHERWISE = re.compile(r"[%?#]")
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*://+|(?:dns|ipv4|ipv6|tcp):(?=.*:))(?=.)", re.IGNORECASE)


class CannotListen(Exception):
    """The server cannot start. The text says which address or file is the reason, and what to do."""


class Exposed(CannotListen):
    """Other machines could reach an address without TLS."""


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of this machine."""

    text: str
    """The address as it was given."""
    host: str
    """The host, without the brackets of an IPv6 address. :: stands for every address of the machine."""
    port: int
    """The port. 0: any free port."""

    def at(self, port: int) -> str:
        """Return the address with a port, as gRPC takes it."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    def ips(self) -> list[str]:
        """Return the IP addresses of the host, an IPv4 address in IPv6 form as IPv4.

        Raises:
            CannotListen: The host is not known.
        """
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise CannotListen(
                f"cannot listen on {self.text}: {self.host} is no host name; give another address with --listen"
            ) from None
        except socket.gaierror as problem:
            raise CannotListen(
                f"cannot listen on {self.text}: {_why_unknown(problem, self.host)};"
                " give another address with --listen"
            ) from None
        return list(dict.fromkeys(_without_mapping(str(sockaddr[0])) for *_, sockaddr in found))


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket with a file."""

    text: str
    """The address as it was given."""
    path: Path
    """The file of the socket."""


@dataclass(frozen=True, slots=True)
class AbstractAddress:
    """A unix socket without a file, in Linux's abstract namespace."""

    text: str
    """The address as it was given."""
    name: str
    """The name of the socket."""


Address = TcpAddress | UnixAddress | AbstractAddress


def parse_address(text: str) -> Address:
    """Return an address to listen on.

    Args:
        text: host:port, [IPv6]:port, :port for every address of the machine, unix:PATH or
            unix-abstract:NAME.

    Raises:
        CannotListen: The text is none of these.
    """
    if text.startswith(ABSTRACT):
        name = text.removeprefix(ABSTRACT)
        _check_unix_name(text, name, "NAME")
        return AbstractAddress(text, name)
    if text.startswith(UNIX):
        return _unix_address(text)
    if scheme := _SCHEME.match(text):
        raise _malformed(
            text, f"{scheme[0]} does not belong there: write {text[scheme.end() :].rstrip('/')}"
        )
    return _tcp_address(text)


def can_be_reached(address: Address) -> bool:
    """Return True if other machines can reach an address.

    Raises:
        CannotListen: The host of the address is not known.
    """
    if not isinstance(address, TcpAddress):
        return False
    return not all(ipaddress.ip_address(ip).is_loopback for ip in address.ips())


def check_protected(address: Address, *, protected: bool) -> None:
    """Check that no other machine can reach an address without TLS.

    Args:
        address: The address.
        protected: The server has TLS, or --insecure was given.

    Raises:
        CannotListen: The host of the address is not known.
        Exposed: Other machines can reach the address, and it is not protected.
    """
    if can_be_reached(address) and not protected:
        raise Exposed(
            f"{address.text} can be reached from other machines, and results carry Customer.io's"
            " credentials: listen on 127.0.0.1 or unix:PATH, give --tls-cert and --tls-key, or add"
            " --insecure if the network is trusted"
        )


def why_not_bound(problem: OSError, port: int, flag: str) -> str:
    """Return why a port cannot be bound, and what to do. flag: names the address."""
    if problem.errno == errno.EADDRINUSE:
        return (
            f"port {port} is taken by another program: stop it (`ss -ltnp` shows which one it is), or"
            f" give another port with {flag}"
        )
    if problem.errno == errno.EACCES:
        return (
            f"this user may not listen on port {port}: choose a port from {_first_unprivileged_port()}"
            " on, or give the process CAP_NET_BIND_SERVICE"
        )
    if problem.errno == errno.EADDRNOTAVAIL:
        return (
            "this is not an address of this machine: give one that `ip address` shows, or 0.0.0.0 for all"
            " of IPv4"
        )
    return f"{os.strerror(problem.errno or 0)}; give another address with {flag}"


def _first_unprivileged_port() -> int:
    try:
        return int(_UNPRIVILEGED.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1024


def _unix_address(text: str) -> UnixAddress:
    name = text.removeprefix(UNIX)
    if re.match("//[^/]", name):
        raise _malformed(text, f"after unix:// comes an absolute path: write unix:{name[2:]}")
    name = re.sub("^//", "", name)
    _check_unix_name(text, name, "PATH")
    if name.endswith("/"):
        raise _malformed(text, "it names a directory: add the name of the socket's file")
    return UnixAddress(text, Path(name))


def _check_unix_name(text: str, name: str, kind: str) -> None:
    if not name:
        raise _malformed(text, f"the {kind} is missing: write {_EXAMPLES[kind]}")
    if len(os.fsencode(name)) > _MAX_UNIX_BYTES:
        raise _malformed(
            text,
            f"the {kind} has {len(os.fsencode(name))} bytes, and the system takes {_MAX_UNIX_BYTES}"
            " at most: choose a shorter one",
        )
    if "\0" in name or _READ_OTHERWISE.search(name):
        raise _malformed(text, f"the {kind} must not contain %, ?, # or NUL: choose another one")


_EXAMPLES = {"PATH": "unix:/run/ciosidecar/sidecar.sock", "NAME": "unix-abstract:ciosidecar"}


def _tcp_address(text: str) -> TcpAddress:
    host, colon, port = text.rpartition(":")
    if not colon or (text.startswith("[") and text.endswith("]")):
        raise _malformed(text, f"the port is missing: write {text}:50550, or {_FORMS}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        _reject_ipv6_without_brackets(text, host, port)
        raise _malformed(text, f"write {_FORMS}")
    if not (port.isascii() and port.isdecimal()):
        raise _malformed(text, f"{port!r} is no port: write {_FORMS}")
    if len(port.lstrip("0")) > 5 or int(port) > 65_535:
        raise _malformed(
            text, f"port {port} is out of range: ports are 1 to 65535, and 0 for any free one"
        )
    host = host.removeprefix("[").removesuffix("]")
    if ":" in host and not _is_ipv6(host):
        raise _malformed(text, f"{host} is no IPv6 address")
    return TcpAddress(text, host or "::", int(port))


def _reject_ipv6_without_brackets(text: str, host: str, port: str) -> None:
    if _is_ipv6(host):
        raise _malformed(text, f"an IPv6 address needs brackets: write [{host}]:{port}")
    if _is_ipv6(text):
        raise _malformed(text, f"an IPv6 address needs brackets and a port: write [{text}]:50550")


def _malformed(text: str, why: str) -> CannotListen:
    return CannotListen(f"cannot listen on {text!r}: {why}")


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _without_mapping(ip: str) -> str:
    mapped = getattr(ipaddress.ip_address(ip), "ipv4_mapped", None)
    return str(mapped or ip)


def _why_unknown(problem: socket.gaierror, host: str) -> str:
    if problem.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return f"there is no such host: {host}"
    return f"the host {host} cannot be looked up ({problem.strerror})"
