"""Certificates that expire while the server runs: its own, and Customer.io's."""

import asyncio
import datetime as dt
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from cryptography import x509
from grpc import aio

from tests.chaos.beside import (
    FAULTY,
    HEALTHY,
    LOOPBACK,
    Healthy,
    code_of_a_call,
    event,
    healthy_beside,
    stream_to,
)
from tests.delivery.caller import Caller
from tests.fake_customerio import GONE, OK, WITHIN_S, fake_customerio
from tests.processes import Server, run, server
from tests.security.pem import NAMES, Files, ca_file, chain_of, expiring, one_line
from tests.security.watching import log_of, wait_for_log, wait_until

pytestmark = pytest.mark.serial

VALID_FOR = [dt.timedelta(seconds=seconds) for seconds in (5, 10, 20)]
"""A caller must connect before its certificate expires. If a busy machine was too slow for one, the next lives longer."""
READ_AGAIN = "the TLS files were read again"
EXPIRED = "expired on"
CERTIFICATE_EXPIRED = "its certificate is not trusted: certificate has expired"


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
            async with healthy_with_expiring(running, files, authority) as healthy:
                await asyncio.to_thread(wait_until, lambda: EXPIRED in log_parts(running)[-1])
                sent = len(healthy.sent)
                refused = await code_of_a_call(address, credentials=credentials)
                assert refused is grpc.StatusCode.UNAVAILABLE
                said = await asyncio.to_thread(check_says, tmp_path, address, ca)
                assert "its certificate is not trusted (certificate has expired)" in said
                so_far = log_of(running).count(READ_AGAIN)
                files.write(authority.issue_cert(*NAMES))
                await wait_for_log(running, READ_AGAIN, times=so_far + 1)
                accepted = await code_of_a_call(address, credentials=credentials)
                assert accepted is grpc.StatusCode.OK
                assert len(healthy.sent) > sent
            *_, while_it_expires, renewed = log_parts(running)
            assert (while_it_expires.count(EXPIRED), renewed.count(EXPIRED)) == (1, 0)
    assert customerio.names == healthy.sent


def log_parts(running: Server) -> list[str]:
    """Return the server's log, in parts that end where it reads another certificate."""
    return log_of(running).split(READ_AGAIN)


@asynccontextmanager
async def healthy_with_expiring(
    running: Server, files: Files, authority: trustme.CA
) -> AsyncIterator[Healthy]:
    """Let a healthy caller connect while the server has a certificate that expires soon after."""
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    for number, valid_for in enumerate(VALID_FOR, 1):
        files.write(expiring(authority, after=valid_for))
        await wait_for_log(running, READ_AGAIN, times=number)
        async with AsyncExitStack() as stack:
            beside = healthy_beside(running.addresses[0], HEALTHY, credentials)
            try:
                healthy = await stack.enter_async_context(beside)
            except aio.AioRpcError:
                continue
            yield healthy
            return
    raise AssertionError("each certificate had expired before the caller was connected")


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
            async with healthy_beside(address), stream_to(address) as caller:
                certificate = await connect_with_expiring(authority, tls, caller)
                await asyncio.to_thread(wait_until, lambda: has_expired(certificate))
                await caller.send(2, event("on the kept connection"))
                assert (await caller.told(2)).status == 200
                assert customerio.connections == 1
                customerio.rule = lambda _request: GONE
                await until_the_certificate_is_the_cause(caller, event("on a new connection"))
                customerio.rule = lambda _request: OK
                authority.issue_cert(*NAMES).configure_cert(tls)
                await caller.send(4, event("on a new connection"))
                assert (await caller.told(4)).status == 200
        assert customerio.names == [
            *("before", "on the kept connection"),
            # Its connection was closed without a response, so the request may have been accepted.
            *("on a new connection",) * 2,
        ]


async def connect_with_expiring(
    authority: trustme.CA, tls: ssl.SSLContext, caller: Caller
) -> trustme.LeafCert:
    """Let the sidecar connect to a Customer.io whose certificate expires soon after. Return the certificate."""
    numbers = itertools.count(100)
    for valid_for in VALID_FOR:
        certificate = expiring(authority, after=valid_for)
        certificate.configure_cert(tls)
        while not has_expired(certificate):
            number = next(numbers)
            await caller.send(number, event("before"), timeout_s=valid_for.total_seconds())
            if (await caller.told(number)).status == 200:
                return certificate
    raise AssertionError("each certificate had expired before the sidecar was connected")


async def until_the_certificate_is_the_cause(caller: Caller, sent: dict[str, Any]) -> None:
    """Send an event until it fails because of the certificate: a busy machine may not come so far in its time."""
    async with asyncio.timeout(WITHIN_S):
        for number in itertools.count(200):
            await caller.send(number, sent, timeout_s=2)
            failed = await caller.told(number)
            assert failed.detail.error.retryable, failed.code
            if CERTIFICATE_EXPIRED in failed.detail.error.message:
                assert failed.status == 504
                return


def server_tls() -> ssl.SSLContext:
    """Return a server's side of TLS, without a certificate yet."""
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def has_expired(issued: trustme.LeafCert) -> bool:
    """Return whether a certificate has expired."""
    certificate = x509.load_pem_x509_certificate(chain_of(issued))
    return dt.datetime.now(dt.UTC) > certificate.not_valid_after_utc
