"""The transport over real sockets: what it sends, and what it takes for an answer."""

import asyncio

import pytest
from ciosidecar_server import __version__
from ciosidecar_server.delivery.transport import MAX_RESPONSE_BYTES, NoResponse, Response

from tests.delivery.sending import (
    AUTHORIZATION,
    PATH,
    answering,
    send,
    transport,
)
from tests.fake_customerio import Connection, fake_customerio

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/customers/%2E%2E",
        "/api/v1/customers/%2E%2E/events",
        "/api/v1/customers/..",
        "/api/v1/customers/a%2Fb",
        "/api/v1/customers/a%2fb",
        "/api/v1/customers/a%20b+c",
        "/api/v1/customers/%C3%A9%F0%9F%98%80",
        "/api/v1/customers/%41%7E~",
        "/api/v1/customers/a//b/./c",
        "/api/v1/customers/%25%00%FF",
        "/api/v1/customers/a:b@c;d=e,f'(g)*!$&",
        "/api/v1/customers/u?x=%2F&y=a+b",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "GET"])
async def test_url_is_sent_byte_for_byte(method: str, target: str) -> None:
    """No percent-encoding is undone, redone or resolved: it may be somebody's id."""
    async with fake_customerio(answering) as server, transport() as to:
        await send(to, server.url + target, b"", method=method)
    assert server.requests[0].raw.startswith(f"{method} {target} HTTP/1.1\r\n".encode())


async def test_request_is_what_was_given_and_says_who_sends_it() -> None:
    """The headers given, plus host, length and our name, and nothing a library likes to add."""
    body = b'{"name": "caf\xc3\xa9"}'
    async with fake_customerio(answering) as server, transport() as to:
        answer = await send(to, server.url + PATH, body, method="POST")
    assert answer == Response(200, answer.headers, b"{}")
    head, _, sent = server.requests[0].raw.partition(b"\r\n\r\n")
    assert sent == body
    assert sorted(head.decode().split("\r\n")) == sorted(
        [
            f"POST {PATH} HTTP/1.1",
            f"Host: {server.host}",
            f"Authorization: {AUTHORIZATION}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            f"User-Agent: ciosidecar/{__version__}",
            "Accept-Encoding: identity",
        ]
    )


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("PUT", b"", b"0"),
        ("POST", b"", b"0"),
        ("PUT", b"{}", b"2"),
        ("POST", b"{}", b"2"),
        ("DELETE", b"", b"0"),
        ("DELETE", b"{}", b"2"),
    ],
)
async def test_body_is_sent_with_its_length_however_short(
    method: str, body: bytes, length: bytes
) -> None:
    """No body of a PUT is Content-Length 0, and an empty object is two bytes."""
    async with fake_customerio(answering) as server, transport() as to:
        await send(to, server.url + PATH, body, method=method)
    head, _, sent = server.requests[0].raw.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    assert (sent, lengths) == (body, [b"Content-Length: " + length])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a b",
        "http://127.0.0.1/a\r\nX: y",
        "http://127.0.0.1/\u00e9",
        "http://127.0.0.1/a#b",
        "http://127.0.0.1",
        "http://user:password@127.0.0.1/",
        "http://127.0.0.1:99999999/",
        "http://[::1/",
        "ftp://127.0.0.1/",
        "http:///a",
        "",
    ],
)
async def test_url_that_cannot_be_sent_as_it_is_is_refused(url: str) -> None:
    """Neither repaired nor let through to where it would mean something else."""
    async with transport() as to:
        with pytest.raises(ValueError, match=r"not a URL to send to|Port out of range"):
            await send(to, url)


async def test_header_cannot_smuggle_another() -> None:
    """A line break in a header's value is refused, and nothing is sent."""
    async with fake_customerio(answering) as server, transport() as to:
        with pytest.raises(ValueError, match="header"):
            await send(to, server.url + PATH, headers={"Authorization": "Basic x\r\nX-More: y"})
    assert server.requests == []


async def test_redirect_is_an_answer() -> None:
    """Where it points is the caller's to judge; names of headers are lower-case."""

    async def script(connection: Connection) -> None:
        await connection.request()
        headers = {"Location": "https://track-eu.customer.io/", "RETRY-AFTER": "7"}
        await connection.answer(301, b"moved", headers)

    async with fake_customerio(script) as server, transport() as to:
        answer = await send(to, server.url + PATH)
    assert (answer.status, answer.body) == (301, b"moved")
    assert dict(answer.headers) == {
        "content-length": "5",
        "location": "https://track-eu.customer.io/",
        "retry-after": "7",
    }
    assert len(server.requests) == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_answer_longer_than_the_limit_is_cut_and_its_connection_closed(chunked: bool) -> None:
    """Ten megabytes are not read; who goes on sending them finds nobody listening."""
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        if connection.number > 1:
            await connection.answer(200, b"second")
            return
        total = 10_000_000
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % total
        connection.writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n")
        part = b"x" * 50_000
        try:
            for _ in range(total // len(part)):
                line = b"%x\r\n" % len(part)
                connection.writer.write(line + part + b"\r\n" if chunked else part)
                await connection.writer.drain()
        except ConnectionError:
            closed.set()

    async with fake_customerio(script) as server, transport() as to:
        answer = await send(to, server.url + PATH)
        assert answer.body == b"x" * MAX_RESPONSE_BYTES
        await asyncio.wait_for(closed.wait(), 10)
        assert (await send(to, server.url + PATH)).body == b"second"
    assert server.connections == 2


async def test_answer_at_the_limit_is_whole() -> None:
    """One mebibyte is not too long."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(200, b"x" * MAX_RESPONSE_BYTES)

    async with fake_customerio(script) as server, transport() as to:
        assert len((await send(to, server.url + PATH)).body) == MAX_RESPONSE_BYTES


async def test_answer_of_a_server_that_does_not_read_on_is_heard() -> None:
    """Who has seen enough of a large body may say so after its head."""

    async def script(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.answer(413, b"too large")
        await connection.closed()

    async with fake_customerio(script) as server, transport() as to:
        answer = await send(to, server.url + PATH, b"x" * 1_000_000)
    assert (answer.status, answer.body) == (413, b"too large")


@pytest.mark.parametrize("status", [204, 304])
async def test_answer_without_a_body(status: int) -> None:
    """Is complete with its head."""

    async def script(connection: Connection) -> None:
        while await connection.request():
            connection.writer.write(b"HTTP/1.1 %d X\r\n\r\n" % status)

    async with fake_customerio(script) as server, transport() as to:
        for _ in range(2):
            answer = await send(to, server.url + PATH)
            assert (answer.status, answer.body) == (status, b"")
    assert server.connections == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"\x00" * 100_000,
    ],
)
async def test_answer_that_breaks_off_or_is_not_http_is_none(sent: bytes) -> None:
    """Not delivered, not refused: nobody knows, which is for the caller to be told."""

    async def script(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(sent)

    async with fake_customerio(script) as server, transport() as to:
        with pytest.raises(NoResponse, match="no complete") as caught:
            await send(to, server.url + PATH)
    assert not caught.value.timed_out
    assert len(server.requests) == 1
