"""The reason why a sidecar does not answer, found by connecting to its address without gRPC."""

import socket
import ssl
import tempfile
from contextlib import suppress
from pathlib import Path

from ciosidecar import Tls

_TIMEOUT_S = 2.0
# The beginning of any connection in HTTP/2, with empty settings. A server answers with its own.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = 4
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class _SilentError(Exception):
    """A server accepts a connection and says nothing."""


def why_no_answer(address: str, tls: Tls | None) -> str | None:
    """Return what keeps a client from the sidecar at an address, or None if that remains unknown.

    Args:
        address: The address, well-formed.
        tls: TLS as the client used it. None: no TLS.
    """
    try:
        with _connect(address) as connection:
            answer = _answer_to_preface(connection)
    except _SilentError:
        return (
            "something accepts the connection and says nothing: is this the address of the sidecar's ready"
            " line?"
        )
    except OSError as problem:
        return _why_not_connected(address, problem)
    if answer.startswith(b"HTTP/"):
        return (
            "it speaks HTTP/1.1, as the admin port does: give an address that the sidecar's ready line has"
            " under listen"
        )
    plaintext = len(answer) > 3 and answer[3] == _SETTINGS
    if tls is None:
        return None if plaintext or not _speaks_tls(address) else _NEEDS_TLS
    if plaintext:
        return "it has no TLS: leave out --tls-ca, --tls-cert, --tls-key and --tls-server-name"
    try:
        return _why_no_tls(address, tls)
    except OSError as problem:
        return _why_not_connected(address, problem)


_NEEDS_TLS = "it speaks TLS: give --tls-ca FILE, or --tls-ca system"


def _connect(address: str) -> socket.socket:
    scheme, _, name = address.partition(":")
    if scheme in ("unix", "unix-abstract"):
        path = f"\0{name}" if scheme == "unix-abstract" else name.removeprefix("//")
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection(_host_and_port(address), _TIMEOUT_S)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("dns:///").rpartition(":")
    return host.strip("[]"), int(port)


def _why_not_connected(address: str, problem: OSError) -> str:
    if isinstance(problem, socket.gaierror):
        return f"its host cannot be looked up ({problem.strerror})"
    if isinstance(problem, ConnectionRefusedError):
        return "nothing listens there: is the sidecar running, and is this the address of its ready line?"
    if isinstance(problem, FileNotFoundError):
        return "there is no such socket: is the sidecar running, and is this the address of its ready line?"
    if isinstance(problem, PermissionError) and address.startswith("unix:"):
        return (
            "permission denied: this user may not connect to the socket; see --socket-mode and"
            " --socket-group of `ciosidecar serve`"
        )
    if isinstance(problem, TimeoutError):
        return "nothing accepts the connection: is a firewall in between, or is this another host?"
    return problem.strerror or str(problem)


def _answer_to_preface(connection: socket.socket) -> bytes:
    """Return the first bytes that a server without TLS sends, b"" if it ends the connection, as one with TLS does.

    Raises:
        _SilentError: The server says nothing.
    """
    try:
        connection.sendall(_PREFACE)
        return connection.recv(9)
    except TimeoutError:
        raise _SilentError from None
    except OSError:
        return b""


def _speaks_tls(address: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with suppress(OSError), _connect(address) as connection, context.wrap_socket(connection):
        return True
    return False


def _why_no_tls(address: str, tls: Tls) -> str | None:
    context = ssl.create_default_context(
        cadata=None if tls.root_certificates is None else tls.root_certificates.decode("ascii")
    )
    context.set_alpn_protocols(["h2"])
    _load(context, tls)
    name = tls.server_name or _host_and_port(address)[0]
    with _connect(address) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=name) as secured:
                # A sidecar speaks first, Envoy only after the client's preface. A server that refuses the client's
                # certificate ends the connection.
                secured.sendall(_PREFACE)
                if not secured.recv(1):
                    return _why_refused(None, tls)
        except ssl.SSLCertVerificationError as problem:
            return _why_not_trusted(problem, name, tls)
        except ssl.SSLError as problem:
            return _why_refused(problem, tls)
        except ConnectionError:
            return _why_refused(None, tls)
        except TimeoutError:
            return None  # The server is connected and slow. gRPC's own words say more.
    return None


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    """Give a context the client's certificate. The library takes it from a file only."""
    if tls.certificate_chain is None or tls.private_key is None:
        return
    with tempfile.TemporaryDirectory(prefix="ciosidecar-") as directory:
        pair = Path(directory) / "pair.pem"  # in a directory that only this user may enter
        pair.write_bytes(tls.private_key + tls.certificate_chain)
        context.load_cert_chain(pair)


def _why_not_trusted(problem: ssl.SSLCertVerificationError, name: str, tls: Tls) -> str:
    if problem.verify_code in _WRONG_NAME:
        return (
            f"its certificate is not for {name}: connect by a name that is in it, or give the name with"
            " --tls-server-name"
        )
    store = "those of this machine" if tls.root_certificates is None else "--tls-ca"
    return f"its certificate is not trusted ({problem.verify_message}): the CA certificates are {store}"


def _why_refused(problem: ssl.SSLError | None, tls: Tls) -> str:
    if tls.certificate_chain is None:
        return (
            "it ended the TLS handshake, as a sidecar with --tls-client-ca does with callers that have no"
            " certificate: give --tls-cert and --tls-key"
        )
    reason = f" ({problem.reason})" if problem is not None and problem.reason else ""
    return (
        f"it does not accept the certificate of --tls-cert{reason}: its --tls-client-ca must hold the CA that"
        " signed the certificate"
    )
