"""TLS and mTLS: files that change while streams are open."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import trustme
from ciosidecar import v1
from cryptography import x509
from grpc import aio

from tests.conftest import Stream, batch, opened, results_of
from tests.processes import Server, server
from tests.security.pem import (
    DAY,
    NAMES,
    Files,
    ca_file,
    chain_of,
    expiring,
    expiry_of,
    serial_of,
)
from tests.security.watching import log_of, wait_for_log
from tests.telemetry.support import metrics_of, value

LOOPBACK = ("--listen", "127.0.0.1:0")
TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
READ_AGAIN = "the TLS files were read again"
NOT_USED = "the TLS files changed and cannot be used"
NOT_AFTER = "certificate_not_after_seconds"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def serial_at(address: str) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def channel_to(
    address: str, authority: trustme.CA, client: trustme.LeafCert | None = None
) -> aio.Channel:
    """A channel that trusts an authority, with a certificate of its own if one is given."""
    credentials = grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(),
        None if client is None else client.private_key_pem.bytes(),
        None if client is None else chain_of(client),
    )
    return aio.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)])


async def answers(
    address: str, authority: trustme.CA, client: trustme.LeafCert | None = None
) -> bool:
    """Return True if a call over a new connection is answered."""
    async with channel_to(address, authority, client) as channel:
        call = v1.SidecarServiceStub(channel).GetCapabilities(
            v1.GetCapabilitiesRequest(), timeout=60
        )
        code = await call.code()
        assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
        return code == grpc.StatusCode.OK


async def goes_on(call: Stream, batch_id: int) -> None:
    """Check that a stream still answers."""
    await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=batch_id)))
    (results,) = await results_of(call, batch_id)
    assert list(results.statuses) == [200]


@contextmanager
def tls_server(*flags: str) -> Iterator[Server]:
    """A server on two ports, so that each has to learn of a new certificate."""
    with server(*LOOPBACK, *LOOPBACK, *flags) as running:
        yield running


async def test_a_new_certificate_is_for_new_connections(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """On every port; the streams that are open go on; log and metrics say until when it is valid."""
    first, second = authority.issue_cert(*NAMES), expiring(authority, after=30 * DAY)
    files = Files(tmp_path).write(first)
    with tls_server(*files.flags) as running:
        address = running.addresses[0]
        async with channel_to(address, authority) as channel:
            call, _ = await opened(v1.SidecarServiceStub(channel))
            await goes_on(call, 1)
            assert value(await metrics_of(running), NOT_AFTER) == expiry_of(first).timestamp()
            files.write(second)
            await wait_for_log(running, READ_AGAIN)
            assert value(await metrics_of(running), NOT_AFTER) == expiry_of(second).timestamp()
            assert [serial_at(port) for port in running.addresses] == [serial_of(second)] * 2
            assert [serial_at(port) for port in running.addresses] == [serial_of(second)] * 2
            assert await answers(address, authority)
            await goes_on(call, 2)
            call.cancel()
        assert f"valid until {expiry_of(second):%Y-%m-%d}" in log_of(running)


async def test_a_broken_new_file_keeps_the_old_one(authority: trustme.CA, tmp_path: Path) -> None:
    """The log says why, once; a later good one is taken."""
    first, second = authority.issue_cert(*NAMES), authority.issue_cert(*NAMES)
    files = Files(tmp_path).write(first)
    with tls_server(*files.flags) as running:
        address = running.addresses[0]
        files.key.write_bytes(second.private_key_pem.bytes())
        await wait_for_log(running, NOT_USED)
        assert "does not match --tls-cert" in log_of(running)
        assert serial_at(address) == serial_of(first)
        assert value(await metrics_of(running), NOT_AFTER) == expiry_of(first).timestamp()
        files.cert.write_bytes(b"")
        await wait_for_log(running, NOT_USED, times=2)
        assert serial_at(address) == serial_of(first)
        files.write(second)
        await wait_for_log(running, READ_AGAIN)
        assert serial_at(address) == serial_of(second)
        assert log_of(running).count(NOT_USED) == 2
        assert "PRIVATE KEY" not in log_of(running)


async def test_an_expired_new_certificate_is_a_warning(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """It is what the operator put there, and the log says what is wrong with it."""
    files = Files(tmp_path).write(authority.issue_cert(*NAMES))
    with tls_server(*files.flags) as running:
        files.write(expiring(authority, after=-DAY))
        await wait_for_log(running, "expired on")


async def test_files_behind_a_symbolic_link(authority: trustme.CA, tmp_path: Path) -> None:
    """Kubernetes exchanges the directory of a mounted secret by renaming a link to it."""
    first, second = authority.issue_cert(*NAMES), authority.issue_cert(*NAMES)
    for name, issued in (("1", first), ("2", second)):
        (tmp_path / name).mkdir()
        Files(tmp_path / name).write(issued)
    data = tmp_path / "data"
    data.symlink_to("1")
    with tls_server(*Files(data).flags) as running:
        assert serial_at(running.addresses[0]) == serial_of(first)
        (tmp_path / "new").symlink_to("2")
        os.replace(tmp_path / "new", data)  # noqa: PTH105
        await wait_for_log(running, READ_AGAIN)
        assert serial_at(running.addresses[0]) == serial_of(second)


async def test_mtls_and_an_authority_that_is_taken_away(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """New connections need a certificate of the new authority; open streams go on."""
    former, latter = trustme.CA(), trustme.CA()
    old, new = former.issue_cert("caller"), latter.issue_cert("caller")
    files = Files(tmp_path).write(authority.issue_cert(*NAMES))
    client_ca = ca_file(tmp_path, former)
    with tls_server(*files.flags, "--tls-client-ca", str(client_ca)) as running:
        address = running.addresses[0]
        assert not await answers(address, authority)
        assert not await answers(address, authority, new)
        async with channel_to(address, authority, old) as channel:
            call, _ = await opened(v1.SidecarServiceStub(channel))
            ca_file(tmp_path, former, latter)
            await wait_for_log(running, READ_AGAIN)
            assert await answers(address, authority, old)
            assert await answers(address, authority, new)
            ca_file(tmp_path, latter)
            await wait_for_log(running, READ_AGAIN, times=2)
            assert not await answers(address, authority, old)
            assert await answers(address, authority, new)
            await goes_on(call, 1)
            call.cancel()
