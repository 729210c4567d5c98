"""The bearer token that a client sends with its calls."""

import re
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from ciosidecar._addresses import is_local
from ciosidecar.errors import Unavailable

TokenSource = str | Callable[[], str]
"""A bearer token, or a function that returns the current one."""
TokenFile = str | PathLike[str]
"""The path of a file with a bearer token."""
Metadata = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"[!-~]+")


class BearerToken:
    """The metadata that authorizes calls. Nothing, if the client has no token.

    Args:
        token: The token, or a function that returns it. The function is called for each call.
        token_file: A file with the token, read for each call. The client sends its first line that is
            neither blank nor a comment (#).

    Raises:
        ValueError: Both are given, or the token has a character that no header can have.
    """

    def __init__(
        self, token: TokenSource | None = None, token_file: TokenFile | None = None
    ) -> None:
        if token is not None and token_file is not None:
            raise ValueError("give token or token_file, not both")
        if isinstance(token, str):
            _check(token)
        self._source: Callable[[], str] | None = None
        if token_file is not None:
            path = Path(token_file)
            self._source = lambda: _first_line(path)
        elif token is not None:
            self._source = (lambda: token) if isinstance(token, str) else token
        self.is_given = self._source is not None

    def metadata(self) -> Metadata:
        """Return the metadata of the next call.

        Raises:
            Unavailable: The token cannot be read, or is none. A later call may succeed.
        """
        if self._source is None:
            return ()
        try:
            token = self._source()
            _check(token)
        except Exception as fault:
            # An error of the caller's function may quote the token; the cause has it in full.
            reason = fault if isinstance(fault, (OSError, ValueError)) else type(fault).__name__
            raise Unavailable(f"cannot read the token: {reason}") from fault
        return (("authorization", f"Bearer {token}"),)


def require_safe_token(addresses: Sequence[str], *, tls: bool, insecure: bool) -> None:
    """Check that no token leaves the host in plain text.

    Raises:
        ValueError: Without TLS, an address is neither loopback nor a unix socket.
    """
    if tls or insecure:
        return
    for address in addresses:
        if not is_local(address):
            raise ValueError(
                f"without TLS, the token would be sent to {address} in plain text: set tls or,"
                " if the network is safe, insecure"
            )


def _first_line(path: Path) -> str:
    lines = (line.strip() for line in path.read_text().splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def _check(token: str) -> None:
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise ValueError(
            "a token consists of visible ASCII characters, at least one, and no spaces"
        )
