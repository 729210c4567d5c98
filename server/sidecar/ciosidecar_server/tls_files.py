"""The certificate of a server, which is read again when its files change."""

import logging
from pathlib import Path

import grpc

from .addresses import CannotListen
from .certificates import day, read_certificates
from .watching import FileWatch

_log = logging.getLogger(__name__)


class TlsFiles:
    """The files of --tls-cert, --tls-key and --tls-client-ca."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        """Read the files.

        Raises:
            CannotListen: A file cannot be used.
        """
        self._files = (cert, key, client_ca)
        paths = [path for path in self._files if path is not None]
        self.watch = FileWatch(paths, self._read_again, self._warn)
        self._current = read_certificates(*self._files)
        self._problem: str | None = None
        self._warn()

    @property
    def not_after_s(self) -> float:
        """Return when the certificate of new connections expires, in seconds since 1970."""
        return self._current.not_after.timestamp()

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials for one port. A new connection gets the newest certificate that can be used."""
        given = self._current

        def newer() -> grpc.ServerCertificateConfiguration | None:
            # gRPC calls this in threads of its own, before each handshake. It keeps what it was given last.
            nonlocal given
            current = self._current
            if current is given:
                return None
            given = current
            return current.configuration()

        return grpc.dynamic_ssl_server_credentials(
            given.configuration(),
            newer,  # type: ignore[arg-type]  # None stands for no change
            require_client_authentication=given.client_ca is not None,
        )

    def _read_again(self) -> None:
        try:
            self._current = read_certificates(*self._files)
        except CannotListen as problem:
            _log.error(
                "the TLS files changed and cannot be used, so the former certificate stays, valid until %s: %s",
                day(self._current.not_after),
                problem,
            )
            return
        _log.info(
            "the TLS files were read again: new connections get the certificate that is valid until %s",
            day(self._current.not_after),
        )
        self._problem = None
        self._warn()

    def _warn(self) -> None:
        """Log why callers do not trust the certificate, once. It may expire at any time."""
        problem, self._problem = self._problem, self._current.problem()
        if self._problem and self._problem != problem:
            _log.warning("the certificate in --tls-cert %s %s", self._files[0], self._problem)
