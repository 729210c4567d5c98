"""Certificates for tests, in files, and when they expire."""

import datetime as dt
import re
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

NAMES = ("localhost", "127.0.0.1")
DAY = dt.timedelta(days=1)


class Files:
    """A certificate and its key in two files of a directory."""

    def __init__(self, directory: Path, name: str = "server") -> None:
        self.cert = directory / f"{name}.pem"
        self.key = directory / f"{name}-key.pem"

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the flags of `serve`."""
        return ("--tls-cert", str(self.cert), "--tls-key", str(self.key))

    def write(self, issued: trustme.LeafCert) -> "Files":
        """Put a certificate and its key into the files."""
        self.cert.write_bytes(chain_of(issued))
        self.key.write_bytes(issued.private_key_pem.bytes())
        return self


def chain_of(issued: trustme.LeafCert) -> bytes:
    """Return the chain of a certificate as PEM."""
    return b"".join(blob.bytes() for blob in issued.cert_chain_pems)


def ca_file(directory: Path, *authorities: trustme.CA, name: str = "ca.pem") -> Path:
    """Write a file of authorities, and return its path."""
    path = directory / name
    path.write_bytes(b"".join(authority.cert_pem.bytes() for authority in authorities))
    return path


def serial_of(issued: trustme.LeafCert) -> int:
    """Return the serial number of a certificate."""
    return x509.load_pem_x509_certificate(chain_of(issued)).serial_number


def expiry_of(issued: trustme.LeafCert) -> dt.datetime:
    """Return the time at which a certificate expires."""
    return x509.load_pem_x509_certificate(chain_of(issued)).not_valid_after_utc


def expiring(authority: trustme.CA, *, after: dt.timedelta) -> trustme.LeafCert:
    """Return a certificate that expires so long after now; before now if it is negative."""
    now = dt.datetime.now(dt.UTC)
    return authority.issue_cert(*NAMES, not_before=now - 30 * DAY, not_after=now + after)


def key_of(issued: trustme.LeafCert) -> PrivateKeyTypes:
    """Return the private key of a certificate."""
    return load_pem_private_key(issued.private_key_pem.bytes(), None)


def encrypted(issued: trustme.LeafCert) -> bytes:
    """Return the private key of a certificate as PEM that needs a passphrase."""
    return key_of(issued).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a-passphrase")
    )


def pem_of(key: PrivateKeyTypes) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def one_line(errors: bytes) -> str:
    """Return what a command said on stderr, if that is one sentence of it and nothing else."""
    text = errors.decode()
    assert re.fullmatch(r"ciosidecar: [^\n]+\n", text), text
    return text
