"""The command `ciosidecar health`, which needs neither gRPC nor an event loop.

A container's health check starts it every few seconds.
"""

from http.client import HTTPConnection, HTTPException
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter, validators

from ..settings import DEFAULT_ADMIN_LISTEN
from .outcome import EXIT_FAILED, EXIT_USAGE, give_up

_PATH = "/readyz"
_MAX_REASON_BYTES = 1000
_NOBODY = (
    "nothing listens there: is `ciosidecar serve` running, and is this the address that it prints as admin in"
    " its ready line? Give it with --admin"
)


def health(
    *,
    admin: str = DEFAULT_ADMIN_LISTEN,
    timeout_s: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 2.0,
) -> None:
    """Ask a running sidecar whether it accepts streams.

    Prints nothing if it does, and the exit code is 0. If it does not, or does not answer, the exit
    code is 1, and stderr says why. A sidecar that drains does not accept streams.

    Args:
        admin: Address of the sidecar's admin port: host:port.
        timeout_s: Seconds to wait for the connection and for the answer.
    """
    host, port = _host_and_port(admin)
    connection = HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", _PATH)
        response = connection.getresponse()
        said = response.read(_MAX_REASON_BYTES).decode(errors="replace").strip()
    except (OSError, HTTPException) as problem:
        give_up(f"no answer from the admin port {admin}: {_words(problem)}", EXIT_FAILED)
    finally:
        connection.close()
    if response.status != 200:
        give_up(f"the sidecar is not ready: {said or response.status}", EXIT_FAILED)


def _host_and_port(admin: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{admin}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.netloc != admin or parts.username is not None:
        give_up(f"--admin (or CIOSIDECAR_ADMIN): {admin!r} is not host:port", EXIT_USAGE)
    return host, port


def _words(problem: Exception) -> str:
    if isinstance(problem, TimeoutError):
        return "the time is over"
    if isinstance(problem, OSError):
        refused = isinstance(problem, ConnectionRefusedError)
        return _NOBODY if refused else problem.strerror or str(problem)
    return "it does not speak HTTP"
