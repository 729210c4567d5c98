"""TLS and token of the sidecars that a command uses. Only reading the files imports gRPC."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..addresses import CannotListen
from .outcome import EXIT_USAGE, Failed

if TYPE_CHECKING:
    from ciosidecar import Tls

SYSTEM = "system"


@dataclass(frozen=True, kw_only=True)
class SidecarAccess:
    """How a command reaches sidecars."""

    tls_ca: str | None = None
    """PEM file with the CA certificates that the sidecar's certificate must be signed by, or `system` for
    those of this machine. Enables TLS. TLS is not for unix sockets."""

    tls_cert: Path | None = None
    """PEM file with the certificate chain that the command presents to the sidecar. Enables TLS."""

    tls_key: Path | None = None
    """PEM file with the private key of --tls-cert."""

    tls_server_name: str | None = None
    """Name in the sidecar's certificate, if it is not the host of the address. Enables TLS."""

    token_file: Path | None = None
    """File with the bearer token for the sidecar: its first line that is neither blank nor a comment (#)."""

    insecure: bool = False
    """Allow a token without TLS to another machine."""

    def tls(self) -> "Tls | None":
        """Return the TLS to the sidecars, or None without an option that enables it.

        Raises:
            Failed: A file cannot be used.
        """
        from ciosidecar import Tls  # noqa: PLC0415 - imports gRPC

        from ..certificates import read_authorities, read_certificates  # noqa: PLC0415 - the same

        given = (self.tls_ca, self.tls_cert, self.tls_key, self.tls_server_name)
        if not any(given):
            return None
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Failed("give --tls-cert and --tls-key together, or neither", EXIT_USAGE)
        try:
            authorities = (
                None
                if self.tls_ca in (None, SYSTEM)
                else read_authorities("--tls-ca", Path(self.tls_ca or ""))
            )
            own = (
                read_certificates(self.tls_cert, self.tls_key, None)
                if self.tls_cert and self.tls_key
                else None
            )
        except CannotListen as problem:
            raise Failed(str(problem), EXIT_USAGE) from None
        return Tls(
            root_certificates=authorities,
            private_key=None if own is None else own.key,
            certificate_chain=None if own is None else own.chain,
            server_name=self.tls_server_name,
        )

    def check_token(self) -> None:
        """Check that the token, if there is one, can be read.

        Raises:
            Failed: The file cannot be used.
        """
        if self.token_file is None:
            return
        try:
            self.read_token()
        except ValueError as problem:
            raise Failed(str(problem), EXIT_USAGE) from None

    def read_token(self) -> str:
        """Return the token of --token-file. The client asks for it again with each call.

        Raises:
            ValueError: The file cannot be used. The client shows the text of this exception.
        """
        from ..tokens import read_first_token  # noqa: PLC0415 - imports gRPC

        try:
            return read_first_token("--token-file", self.token_file or Path())
        except CannotListen as problem:
            raise ValueError(str(problem)) from None
