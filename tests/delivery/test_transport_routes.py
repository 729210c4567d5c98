"""The ways to a server: names, TLS, proxies, HTTP/2; and that none of them tells secrets."""

import asyncio
import logging
from base64 import b64encode

import pytest
import trustme
from ciosidecar_server.delivery.transport import NoResponse

from tests.delivery.protocols import http2_customerio, tunnel
from tests.delivery.sending import (
    AUTHORIZATION,
    PATH,
    answering,
    send,
    server_tls,
    transport,
    within,
)
from tests.fake_customerio import Connection, fake_customerio, nobody

pytestmark = pytest.mark.timeout(30)


async def test_refused_connection_is_said_so() -> None:
    """With the address and the system's word for it."""
    with nobody() as host:
        async with transport() as to:
            with pytest.raises(NoResponse) as caught:
                await send(to, f"http://{host}{PATH}?token=x")
    assert caught.value.text == f"no connection to {host}: Connection refused"
    assert not caught.value.timed_out


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid"])
@pytest.mark.parametrize("http2", [False, True])
async def test_name_that_does_not_resolve_is_said_so(host: str, http2: bool) -> None:
    """A name reserved for not existing, and one that cannot."""
    async with transport(http2=http2) as to:
        with pytest.raises(NoResponse) as caught:
            await send(to, f"https://{host}{PATH}")
    assert caught.value.text == f"no connection to {host}: its name does not resolve"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("http2", [False, True])
async def test_certificate_of_a_trusted_authority_is_accepted(
    authority: trustme.CA,
    http2: bool,
) -> None:
    """SSL_CERT_FILE is heeded, with and without HTTP/2; the connection is kept."""
    async with (
        fake_customerio(answering, tls=server_tls(authority)) as server,
        transport(http2=http2) as to,
    ):
        for _ in range(3):
            assert (await send(to, server.url + PATH)).body == b"{}"
    assert server.connections == 1


@pytest.mark.parametrize("http2", [False, True])
async def test_certificate_of_an_unknown_authority_is_refused(
    authority: trustme.CA,
    http2: bool,
) -> None:
    """And nothing is sent to who showed it."""
    async with (
        fake_customerio(answering, tls=server_tls(authority)) as server,
        transport(http2=http2) as to,
    ):
        with pytest.raises(NoResponse) as caught:
            await send(to, server.url + PATH)
    assert "its certificate is not trusted: unable to get local issuer" in caught.value.text
    assert server.requests == []


@pytest.mark.usefixtures("trusted")
async def test_certificate_for_another_host_is_refused(authority: trustme.CA) -> None:
    """However trusted who issued it."""
    tls = server_tls(authority, "track.customer.io")
    async with fake_customerio(answering, tls=tls) as server, transport() as to:
        with pytest.raises(NoResponse, match="its certificate is not trusted: IP address mismatch"):
            await send(to, server.url + PATH)
    assert server.requests == []


async def test_server_that_speaks_no_tls_is_said_so() -> None:
    """A port that answers https with plain HTTP."""

    async def script(connection: Connection) -> None:
        await connection.reader.read(65_536)
        await connection.answer(400)

    async with fake_customerio(script) as server, transport() as to:
        with pytest.raises(NoResponse, match=f"no connection to {server.host}: TLS failed: "):
            await send(to, f"https://{server.host}{PATH}")


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("http2", [False, True])
async def test_https_goes_through_the_proxy_that_the_environment_names(
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    http2: bool,
) -> None:
    """By CONNECT with its password; the tunnel is kept, and the credentials for Customer.io stay within."""
    async with (
        fake_customerio(answering, tls=server_tls(authority)) as server,
        fake_customerio(tunnel) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxy-password@{proxy.host}")
        async with transport(http2=http2) as to:
            for _ in range(3):
                assert (await send(to, server.url + PATH)).status == 200
    assert len(server.requests) == 3
    (connect,) = proxy.requests
    assert connect.raw.startswith(f"CONNECT {server.host} HTTP/1.1\r\n".encode())
    assert b"authorization: basic " + b64encode(b"me:proxy-password").lower() in connect.raw.lower()
    assert AUTHORIZATION.encode() not in connect.raw


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "localhost,127.0.0.1", "*"])
async def test_hosts_that_no_proxy_names_are_reached_directly(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    """NO_PROXY by host, in a list, or for all."""
    async with (
        fake_customerio(answering, tls=server_tls(authority)) as server,
        fake_customerio(tunnel) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        async with transport() as to:
            assert (await send(to, server.url + PATH)).status == 200
    assert proxy.requests == []


@pytest.mark.parametrize("http2", [False, True])
async def test_proxy_that_refuses_is_said_so(
    monkeypatch: pytest.MonkeyPatch,
    http2: bool,
) -> None:
    """As no connection, without the proxy's password."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(407, b"no")

    async with fake_customerio(script) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxy-password@{proxy.host}")
        async with transport(http2=http2) as to:
            with pytest.raises(NoResponse) as caught:
                await send(to, f"https://track.customer.io{PATH}")
    assert (
        caught.value.text == "no connection to track.customer.io through the proxy: it answered 407"
    )
    assert len(proxy.requests) == 1


async def test_proxy_that_never_answers_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the time for connecting."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.closed()

    async with fake_customerio(script) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        async with transport(connect_timeout_s=0.3) as to, within(8):
            with pytest.raises(
                NoResponse, match=r"no connection to track.customer.io within 0.3 s"
            ):
                await send(to, f"https://track.customer.io{PATH}")


@pytest.mark.parametrize("http2", [False, True])
async def test_proxy_of_a_kind_we_do_not_speak_to_is_said_so(
    monkeypatch: pytest.MonkeyPatch,
    http2: bool,
) -> None:
    """Rather than going past it."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    async with transport(http2=http2) as to:
        with pytest.raises(NoResponse) as caught:
            await send(to, f"https://track.customer.io{PATH}")
    assert caught.value.text == (
        "no connection to track.customer.io: a proxy by socks5 is not supported"
    )


@pytest.mark.usefixtures("trusted")
async def test_http2_is_spoken_where_asked_for_and_offered(authority: trustme.CA) -> None:
    """A hundred requests at a time share one connection, once there is one."""
    async with http2_customerio(server_tls(authority)) as server, transport(http2=True) as to:
        await send(to, server.url + PATH + "/%2E%2E")
        answers = await asyncio.gather(*[send(to, server.url + PATH) for _ in range(100)])
    assert {answer.body for answer in answers} == {b"{}"}
    assert (server.connections, len(server.requests)) == (1, 101)
    first = server.requests[0]
    assert first.path == PATH + "/%2E%2E"
    assert first.headers["authorization"] == AUTHORIZATION


@pytest.mark.usefixtures("trusted")
async def test_http2_refuses_a_url_that_it_would_change(authority: trustme.CA) -> None:
    """Dots that stand for themselves would be resolved; percent-encoded ones go out as they are."""
    async with http2_customerio(server_tls(authority)) as server, transport(http2=True) as to:
        with pytest.raises(ValueError, match="not a URL to send to in HTTP/2"):
            await send(to, server.url + "/api/v1/customers/..")
        await send(to, server.url + "/api/v1/customers/%2E%2E%2Fa%20b+%C3%A9")
    (request,) = server.requests
    assert request.path == "/api/v1/customers/%2E%2E%2Fa%20b+%C3%A9"


@pytest.mark.usefixtures("trusted")
async def test_kept_connection_that_was_given_up_is_replaced_once_beside_http2(
    authority: trustme.CA,
) -> None:
    """As in HTTP/1.1: with a server that offers only that, HTTP/2 asked for or not."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(200, b"first" if connection.number == 1 else b"again")
        if connection.number == 1:
            await connection.request()

    async with (
        fake_customerio(script, tls=server_tls(authority)) as server,
        transport(http2=True) as to,
    ):
        assert (await send(to, server.url + PATH)).body == b"first"
        assert (await send(to, server.url + PATH)).body == b"again"
    assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.usefixtures("trusted")
async def test_http2_is_not_spoken_unless_asked_for(authority: trustme.CA) -> None:
    """A server that would is spoken to in HTTP/1.1."""
    tls = server_tls(authority)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with fake_customerio(answering, tls=tls) as server, transport() as to:
        await send(to, server.url + PATH)
    assert b" HTTP/1.1\r\n" in server.requests[0].raw


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("http2", [False, True])
async def test_nothing_of_a_request_reaches_the_logs(
    authority: trustme.CA,
    caplog: pytest.LogCaptureFixture,
    http2: bool,
    no_listener: str,
) -> None:
    """Not at any level: neither credentials nor the user's id, of what went well and what did not."""
    caplog.set_level(logging.DEBUG)
    tls = server_tls(authority)
    async with (
        http2_customerio(tls) if http2 else fake_customerio(answering, tls=tls) as server,
        transport(http2=http2) as to,
    ):
        await send(to, server.url + "/api/v1/customers/secret-user", b'{"secret": 1}')
        with pytest.raises(NoResponse) as caught:
            await send(to, f"https://{no_listener}/api/v1/customers/secret-user?secret")
    shown = f"{caplog.text} {caught.value!r} {caught.value.__cause__}"
    assert "secret" not in shown
    assert AUTHORIZATION not in shown
    assert "Basic" not in shown
