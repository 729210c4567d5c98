"""Files of TLS and tokens with which `serve` cannot start: each has a sentence of its own."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.processes import run, server
from tests.security.pem import DAY, NAMES, Files, ca_file, encrypted, expiring, one_line, pem_of

LOOPBACK = ("--listen", "127.0.0.1:0")
AUTHORITY = trustme.CA()
ISSUED = AUTHORITY.issue_cert(*NAMES)
OTHER = AUTHORITY.issue_cert(*NAMES)


def other_key(files: Files) -> None:
    files.key.write_bytes(OTHER.private_key_pem.bytes())


def not_pem_cert(files: Files) -> None:
    files.cert.write_bytes(b"\x30\x82 no PEM")


def empty_key(files: Files) -> None:
    files.key.write_bytes(b"")


def damaged_cert(files: Files) -> None:
    files.cert.write_bytes(files.cert.read_bytes().replace(b"MII", b"AAA"))


def damaged_key(files: Files) -> None:
    files.key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def encrypted_key(files: Files) -> None:
    files.key.write_bytes(encrypted(ISSUED))


def exchanged(files: Files) -> None:
    cert, key = files.cert.read_bytes(), files.key.read_bytes()
    files.cert.write_bytes(key)
    files.key.write_bytes(cert)


def cert_as_key(files: Files) -> None:
    files.key.write_bytes(files.cert.read_bytes())


def wrong_order(files: Files) -> None:
    files.cert.write_bytes(AUTHORITY.cert_pem.bytes() + files.cert.read_bytes())


def ed25519_key(files: Files) -> None:
    files.key.write_bytes(pem_of(ed25519.Ed25519PrivateKey.generate()))


def missing_cert(files: Files) -> None:
    files.cert.unlink()


def directory_as_key(files: Files) -> None:
    files.key.unlink()
    files.key.mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_key, "server-key.pem does not match --tls-cert"),
        (not_pem_cert, "server.pem holds no certificate as PEM"),
        (empty_key, "server-key.pem holds no private key as PEM"),
        (damaged_cert, "server.pem is damaged"),
        (damaged_key, "server-key.pem is damaged"),
        (encrypted_key, "server-key.pem is encrypted"),
        (exchanged, "server.pem holds a private key and no certificate"),
        (cert_as_key, "server-key.pem holds a certificate and no private key"),
        (wrong_order, "the server's own must be the first"),
        (ed25519_key, "of a kind that gRPC's clients do not take"),
        (missing_cert, "server.pem: No such file or directory"),
        (directory_as_key, "server-key.pem: Is a directory"),
    ],
)
def test_a_certificate_that_cannot_be_used(
    spoil: Callable[[Files], None], words: str, tmp_path: Path
) -> None:
    """Exit code 1, one line that names flag and file, and nothing of what is in the file."""
    files = Files(tmp_path).write(ISSUED)
    spoil(files)
    failed = run("serve", *LOOPBACK, *files.flags)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert words in one_line(failed.stderr)


def test_authorities_that_are_none(tmp_path: Path) -> None:
    """--tls-client-ca is checked too."""
    files = Files(tmp_path).write(ISSUED)
    failed = run("serve", *LOOPBACK, *files.flags, "--tls-client-ca", str(files.key))
    assert failed.returncode == 1
    assert "--tls-client-ca" in one_line(failed.stderr)


def test_half_of_a_pair(tmp_path: Path) -> None:
    """A certificate without a key is no TLS."""
    files = Files(tmp_path).write(ISSUED)
    failed = run("serve", *LOOPBACK, "--tls-cert", str(files.cert))
    assert failed.returncode == 1
    assert "TLS needs both --tls-cert and --tls-key" in one_line(failed.stderr)


def test_an_expired_certificate_is_a_warning(tmp_path: Path) -> None:
    """It may be renewed while the server runs: the log says when it expired."""
    files = Files(tmp_path).write(expiring(AUTHORITY, after=-DAY))
    with server(*LOOPBACK, *files.flags) as running:
        assert running.ready_line["ready"]
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    assert "server.pem expired on" in errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "holds no token"),
        (b"# a comment\n\n   \n", "holds no token"),
        (b"# first\n\nabcdefgh\n", "line 3: the token has 8 characters"),
        (b"0123456789 abcdefgh\n", "line 1: a token must be one word"),
        ("0123456789abcdéf\n".encode(), "line 1: a token must be one word"),
    ],
)
def test_tokens_that_cannot_be_used(text: bytes, words: str, tmp_path: Path) -> None:
    """Exit code 1, the line's number, and never the token."""
    file = tmp_path / "tokens"
    file.write_bytes(text)
    failed = run("serve", *LOOPBACK, "--auth-token-file", str(file))
    assert failed.returncode == 1
    said = one_line(failed.stderr)
    assert words in said
    for secret in ("abcdefgh", "0123456789"):
        assert secret not in said


def test_a_token_without_tls_needs_insecure_where_others_reach_it(tmp_path: Path) -> None:
    """A token that anybody can read protects nothing: exit code 2."""
    file = tmp_path / "tokens"
    file.write_text("0123456789abcdef\n")
    failed = run("serve", "--listen", "0.0.0.0:0", "--auth-token-file", str(file))
    assert failed.returncode == 2
    assert "--insecure" in one_line(failed.stderr)
    flags = ("--listen", "0.0.0.0:0", "--insecure", "--auth-token-file", str(file))
    with server(*flags) as running:
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    assert "and so are the bearer tokens" in errors


def test_authorities_are_taken_with_any_number(tmp_path: Path) -> None:
    """Two, while one replaces the other."""
    files = Files(tmp_path).write(ISSUED)
    both = ca_file(tmp_path, AUTHORITY, trustme.CA())
    with server(*LOOPBACK, *files.flags, "--tls-client-ca", str(both)) as running:
        assert running.ready_line["ready"]
