"""The addresses of sidecars: what is an address, and which gRPC target stands for several."""

import ipaddress
import re
from collections.abc import Sequence

DEFAULT_ADDRESS = "127.0.0.1:50550"

_FORMS = "use host:port, [IPv6]:port, unix:PATH, unix-abstract:NAME or dns:///host:port"
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_ABSTRACT = "unix-abstract:"
_UNIX = "unix:"
# The size of sun_path on Linux, without the byte that ends a path or begins an abstract name.
_MAX_SOCKET_PATH_BYTES = 107


def target_of(addresses: str | Sequence[str]) -> str:
    """Return one gRPC target for all addresses.

    Raises:
        ValueError: No address is given, an address is malformed, or several are not of one kind.
    """
    address_list = as_list(addresses)
    for address in address_list:
        check_address(address)
    if not address_list:
        raise ValueError(f"no address is given: {_FORMS}")
    if len(address_list) == 1:
        return address_list[0]
    for scheme in (_UNIX, _ABSTRACT):
        if all(address.startswith(scheme) for address in address_list):
            return scheme + ",".join(address.removeprefix(scheme) for address in address_list)
    if all(address.startswith("[") for address in address_list):
        return "ipv6:" + ",".join(address_list)
    if all(_is_ipv4(_host_of(address)) for address in address_list):
        return "ipv4:" + ",".join(address_list)
    raise ValueError(
        "several addresses must all be IPv4:port, all [IPv6]:port, all unix:PATH or all"
        " unix-abstract:NAME; a name that resolves to several addresses must be given alone, as"
        " dns:///host:port"
    )


def as_list(addresses: str | Sequence[str]) -> list[str]:
    """Return one or several addresses as a list."""
    return [addresses] if isinstance(addresses, str) else list(addresses)


def is_unix(address: str) -> bool:
    """Return true for a unix socket, with a path or abstract."""
    return address.startswith((_UNIX, _ABSTRACT))


def is_local(address: str) -> bool:
    """Return true if calls to the address do not leave the host: loopback and unix sockets."""
    if is_unix(address):
        return True
    host = _host_of(address.removeprefix("dns:///")).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def check_address(address: str) -> None:
    """Check the form of an address.

    Raises:
        ValueError: The address is malformed. The message says how.
    """
    if fault := _fault_of(address):
        raise ValueError(f"{address!r} is no address: {fault}")


def _fault_of(address: str) -> str | None:
    """Return what is wrong with an address, or None."""
    if not address.strip():
        return f"it is blank; {_FORMS}"
    if any(character.isspace() for character in address):
        return "it contains white space"
    if is_unix(address):
        return _fault_of_socket(address)
    scheme, separator, rest = address.partition("://")
    if separator and scheme == "dns" and rest.startswith("/"):
        return _fault_of_host_and_port(rest[1:])
    if separator:
        return (
            f"leave {scheme + separator!r} out; {_FORMS}" if scheme in ("http", "https") else _FORMS
        )
    return _fault_of_host_and_port(address)


def _fault_of_socket(address: str) -> str | None:
    scheme, _, path = address.partition(":")
    kind = "name" if scheme == "unix-abstract" else "path"
    if not path.strip("/"):
        return f"the {kind} of the socket is missing"
    if kind == "path" and path.startswith("//") and not path.startswith("///"):
        return "use unix:PATH or unix:///PATH"
    path = path.removeprefix("//") if kind == "path" else path
    if len(path.encode()) > _MAX_SOCKET_PATH_BYTES:
        return f"the {kind} of a socket has at most {_MAX_SOCKET_PATH_BYTES} bytes"
    return None


def _fault_of_host_and_port(address: str) -> str | None:
    if not address.startswith("[") and address.count(":") > 1:
        return "put an IPv6 address into brackets, as in [::1]:50550"
    host, separator, port = address.rpartition(":")
    if not separator or (address.startswith("[") and address.endswith("]")) or not port:
        return "the port is missing, as in host:50550"
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        return "the port must be 1 to 65535"
    return None if _is_host(host) else _FORMS


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        try:
            return ipaddress.IPv6Address(host[1:-1]).version == 6
        except ValueError:
            return False
    if _HOST.fullmatch(host) is None:
        return False
    # No host name ends in a number: such a host is an IPv4 address or a mistake.
    return _is_ipv4(host) or not host.rpartition(".")[2].isdecimal()


def _is_ipv4(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).version == 4
    except ValueError:
        return False


def _host_of(address: str) -> str:
    return address.rpartition(":")[0]
