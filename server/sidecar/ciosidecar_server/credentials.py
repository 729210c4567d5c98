"""The server's certificates and its callers' tokens, which are read again when their files change."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from .addresses import CannotListen
from .settings import Settings
from .tokens import Tokens, read_tokens
from .watching import FileWatch

if TYPE_CHECKING:
    from .tls_files import TlsFiles

_log = logging.getLogger(__name__)


class TokenFile:
    """The file of --auth-token-file."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            CannotListen: The file cannot be used.
        """
        self._path = path
        self.watch = FileWatch([path], self._read_again)
        self._tokens: Tokens = read_tokens(path)

    def accept(self, token: bytes) -> bool:
        """Return True if a caller may present this token now."""
        return self._tokens.accept(token)

    def _read_again(self) -> None:
        try:
            self._tokens = read_tokens(self._path)
        except CannotListen as problem:
            _log.error(
                "the tokens changed and cannot be used, so those from before stay (%d): %s",
                len(self._tokens),
                problem,
            )
            return
        _log.info("the tokens were read again; valid for new calls: %d", len(self._tokens))


class Credentials:
    """The certificate of a server, and the certificates and tokens by which it knows its callers."""

    def __init__(self, settings: Settings) -> None:
        """Read the files of the settings.

        Raises:
            CannotListen: A file cannot be used.
        """
        self._tls = _tls_files(settings)
        path = settings.auth_token_file
        self._tokens = None if path is None else TokenFile(path)
        readers = [reader for reader in (self._tls, self._tokens) if reader is not None]
        self._watches = [reader.watch for reader in readers]

    @property
    def tls(self) -> Callable[[], grpc.ServerCredentials] | None:
        """Return what makes credentials for one port. None: no TLS."""
        return None if self._tls is None else self._tls.server_credentials

    @property
    def not_after_s(self) -> float | None:
        """Return when the server's certificate expires, in seconds since 1970. None: no TLS."""
        return None if self._tls is None else self._tls.not_after_s

    @property
    def accept_token(self) -> Callable[[bytes], bool] | None:
        """Return what tells valid tokens. None: callers need no token."""
        return None if self._tokens is None else self._tokens.accept

    def start(self) -> None:
        """Begin to look for changed files, in the running event loop."""
        for watch in self._watches:
            watch.start()

    async def aclose(self) -> None:
        """Look for changed files no more."""
        for watch in self._watches:
            await watch.aclose()


def _tls_files(settings: Settings) -> "TlsFiles | None":
    if settings.tls_cert and settings.tls_key:
        # The library that reads certificates takes a tenth of the start of a server.
        from .tls_files import TlsFiles  # noqa: PLC0415

        return TlsFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    if settings.tls_cert or settings.tls_key or settings.tls_client_ca:
        raise CannotListen("TLS needs both --tls-cert and --tls-key")
    return None
