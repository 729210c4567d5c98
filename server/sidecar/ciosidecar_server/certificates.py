"""Certificates and keys in PEM files: checked before gRPC is given them, because gRPC does not say what is wrong."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from .addresses import CannotListen
from .regular_files import read_flag_file

_KEY = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL
)
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificate chain of the server, its key, and the authorities of its callers, as PEM."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    not_before: datetime
    """The time at which the server's certificate becomes valid."""
    not_after: datetime
    """The time at which the server's certificate expires."""

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return a new configuration for gRPC, which uses each only once."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.chain)], self.client_ca)

    def problem(self) -> str | None:
        """Return why callers do not trust the certificate at this time, or None."""
        now = datetime.now(UTC)
        if now > self.not_after:
            return f"expired on {day(self.not_after)}: callers will refuse it; renew it"
        if now < self.not_before:
            return f"is not valid before {day(self.not_before)}: check it, and the clock"
        return None


def day(time: datetime) -> str:
    """Return the date of a time in UTC."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def read_certificates(cert: Path, key: Path, client_ca: Path | None) -> Certificates:
    """Read and check the files of --tls-cert, --tls-key and --tls-client-ca.

    Raises:
        CannotListen: A file cannot be used.
    """
    chain = _certificates("--tls-cert", cert)
    private_key = _private_key(key)
    _check_match(chain, private_key, cert, key)
    return Certificates(
        chain=_pem(chain),
        key=private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        client_ca=None if client_ca is None else read_authorities("--tls-client-ca", client_ca),
        not_before=chain[0].not_valid_before_utc,
        not_after=chain[0].not_valid_after_utc,
    )


def read_authorities(flag: str, path: Path) -> bytes:
    """Read and check a file of CA certificates.

    Returns:
        The certificates as PEM.

    Raises:
        CannotListen: The file cannot be used.
    """
    return _pem(_certificates(flag, path))


def _certificates(flag: str, path: Path) -> list[x509.Certificate]:
    pem = read_flag_file(flag, path)
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm):
        pass
    if _KEY.search(pem):
        raise CannotListen(
            f"{flag} {path} holds a private key and no certificate: give --tls-key the key"
        )
    if b"-----BEGIN CERTIFICATE-----" in pem:
        raise CannotListen(f"{flag} {path} is damaged: a certificate in it cannot be read")
    raise CannotListen(
        f"{flag} {path} holds no certificate as PEM, a text that begins with -----BEGIN CERTIFICATE-----;"
        " `openssl x509 -inform der` converts a binary one"
    )


def _private_key(path: Path) -> _PrivateKey:
    pem = read_flag_file("--tls-key", path)
    block = _KEY.search(pem)
    if block is None:
        what = (
            "a certificate and no private key"
            if b"BEGIN CERTIFICATE" in pem
            else "no private key as PEM"
        )
        raise CannotListen(
            f"--tls-key {path} holds {what}: it must have a part that begins with"
            " -----BEGIN PRIVATE KEY-----"
        )
    try:
        key = load_pem_private_key(block[0], password=None)
    except TypeError:
        raise CannotListen(
            f"--tls-key {path} is encrypted, and the sidecar cannot ask for its passphrase:"
            f" `openssl pkey -in {path} -out FILE` writes it decrypted"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CannotListen(
            f"--tls-key {path} is damaged: the private key in it cannot be read"
        ) from None
    if isinstance(key, rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES):
        return key
    raise CannotListen(
        f"--tls-key {path} is of a kind that gRPC's clients do not take: use RSA, or ECDSA with P-256 or P-384"
    )


def _check_match(
    chain: list[x509.Certificate], private_key: _PrivateKey, cert: Path, key: Path
) -> None:
    public_key = private_key.public_key()
    matches = [_public_key(certificate) == public_key for certificate in chain]
    if matches[0]:
        return
    if any(matches):
        raise CannotListen(
            f"--tls-cert {cert} has its certificates in the wrong order: the server's own must be the first"
        )
    raise CannotListen(
        f"--tls-key {key} does not match --tls-cert {cert}: the certificate was made for another key"
    )


def _public_key(certificate: x509.Certificate) -> object | None:
    """Return the key of a certificate; None for a kind of key that is not known here."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
