"""Certificates that expire while the server runs: its own, and Customer.io's."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import grpc
import pytest
import trustme
from cryptography import x509

from tests.chaos.beside import (
    FAULTY,
    HEALTHY,
    LOOPBACK,
    code_of_a_call,
    event,
    healthy_beside,
    stream_to,
)
from tests.fake_customerio import GONE, OK, fake_customerio
from tests.processes import run, server
from tests.security.pem import NAMES, Files, ca_file, chain_of, expiring, one_line
from tests.security.watching import log_of, wait_for_log, wait_until

pytestmark = pytest.mark.serial

# Changed files are read within two seconds.
VALID_FOR = dt.timedelta(seconds=5)
READ_AGAIN = "the TLS files were read again"
EXPIRED = "expired on"


def check_says(directory: Path, address: str, ca: Path) -> str:
    """Return the sentence with which `check --target` ends."""
    config = directory / "config.json"
    config.write_bytes(FAULTY)
    done = run("check", "--config", str(config), "--target", address, "--tls-ca", str(ca))
    assert done.returncode == 1
    return one_line(done.stderr)


async def test_the_servers_own_certificate_expires(tmp_path: Path) -> None:
    """An open stream goes on, new connections are refused, the log says so once, and a renewed file is taken."""
    authority = trustme.CA()
    ca = ca_file(tmp_path, authority)
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    files = Files(tmp_path).write(authority.issue_cert(*NAMES))
    async with fake_customerio() as customerio:
        arguments = (*LOOPBACK, *files.flags, "--customerio-url", customerio.url)
        with server(*arguments) as running:
            (address,) = running.addresses
            # A start may take longer than this certificate is valid.
            files.write(expiring(authority, after=VALID_FOR))
            await wait_for_log(running, READ_AGAIN)
            async with healthy_beside(address, HEALTHY, credentials) as healthy:
                assert EXPIRED not in log_of(running)
                await wait_for_log(running, EXPIRED)
                sent = len(healthy.sent)
                refused = await code_of_a_call(address, credentials=credentials)
                assert refused is grpc.StatusCode.UNAVAILABLE
                said = await asyncio.to_thread(check_says, tmp_path, address, ca)
                assert "its certificate is not trusted (certificate has expired)" in said
                files.write(authority.issue_cert(*NAMES))
                await wait_for_log(running, READ_AGAIN, times=2)
                accepted = await code_of_a_call(address, credentials=credentials)
                assert accepted is grpc.StatusCode.OK
                assert len(healthy.sent) > sent
            assert log_of(running).count(EXPIRED) == 1
    assert [request.name for request in customerio.requests] == healthy.sent


async def test_customerios_certificate_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept connection goes on. A new one fails with the cause, until the certificate is renewed; nothing is lost."""
    authority = trustme.CA()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file(tmp_path, authority)))
    tls, healthy_tls = server_tls(), server_tls()
    authority.issue_cert(*NAMES).configure_cert(healthy_tls)
    async with fake_customerio(tls=tls) as customerio, fake_customerio(tls=healthy_tls) as other:
        urls = ("--customerio-url", customerio.url, "--customerio-eu-url", other.url)
        with server(*LOOPBACK, *urls) as running:
            (address,) = running.addresses
            certificate = expiring(authority, after=VALID_FOR)
            certificate.configure_cert(tls)
            async with healthy_beside(address), stream_to(address) as caller:
                await caller.send(1, event("before"))
                assert (await caller.told(1)).status == 200
                await asyncio.to_thread(wait_until, lambda: has_expired(certificate))
                await caller.send(2, event("on the kept connection"))
                assert (await caller.told(2)).status == 200
                assert customerio.connections == 1
                customerio.rule = lambda _request: GONE
                await caller.send(3, event("on a new connection"), timeout_s=2)
                failed = await caller.told(3)
                assert (failed.status, failed.detail.error.retryable) == (504, True)
                assert (
                    "its certificate is not trusted: certificate has expired"
                    in failed.detail.error.message
                )
                customerio.rule = lambda _request: OK
                authority.issue_cert(*NAMES).configure_cert(tls)
                await caller.send(4, event("on a new connection"))
                assert (await caller.told(4)).status == 200
        assert customerio.names == [
            *("before", "on the kept connection"),
            # Its connection was closed without a response, so the request may have been accepted.
            *("on a new connection",) * 2,
        ]


def server_tls() -> ssl.SSLContext:
    """Return a server's side of TLS, without a certificate yet."""
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def has_expired(issued: trustme.LeafCert) -> bool:
    """Return whether a certificate has expired."""
    certificate = x509.load_pem_x509_certificate(chain_of(issued))
    return dt.datetime.now(dt.UTC) > certificate.not_valid_after_utc
