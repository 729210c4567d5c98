"""Bearer tokens: every call has one, it is read again for each, and a wrong one ends the call."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import AsyncClient, CallFailed, Client, StreamOptions, Tls, Unavailable

from tests.client.both import CONFIG, TRACK, close, plain, run_async, run_sync
from tests.client.scripted import Connection, RequireTokens, ScriptedSidecar, serving

both_streams = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])
both_clients = pytest.mark.parametrize("make", [Client, AsyncClient], ids=["sync", "async"])


def _answering(connection: Connection) -> None:
    connection.open()
    connection.answer_everything()


@pytest.fixture
def tokens() -> RequireTokens:
    """The tokens that the sidecar accepts, and those that it has seen."""
    return RequireTokens("first", "second")


@pytest.fixture
def address(tokens: RequireTokens) -> Iterator[str]:
    """A sidecar that requires a token."""
    with serving(ScriptedSidecar(_answering), tokens) as address:
        yield address


def test_every_call_has_the_token(address: str, tokens: RequireTokens) -> None:
    """Unary calls and streams alike."""
    with Client(address, token="first") as client:
        client.capabilities()
        client.check(CONFIG)
        with client.stream(CONFIG) as stream:
            assert len(list(stream.map([TRACK]))) == 1
    assert tokens.seen == ["Bearer first"] * 3


async def test_every_asynchronous_call_has_the_token(address: str, tokens: RequireTokens) -> None:
    """The same with asyncio."""
    async with AsyncClient(address, token="first") as client:
        await client.capabilities()
        await client.check(CONFIG)
        async with client.stream(CONFIG) as stream:
            assert len([answer async for answer in stream.map([TRACK])]) == 1
    assert tokens.seen == ["Bearer first"] * 3


@pytest.mark.parametrize("source", ["token", "token_file"])
def test_a_token_is_read_again_for_each_call(
    source: str, address: str, tokens: RequireTokens, tmp_path: Path
) -> None:
    """A replaced token is in the next call. Blank lines and comments of a file are skipped."""
    path = tmp_path / "token"
    path.write_text("# rotated monthly\n\nfirst\nolder\n")
    chosen: Any = path if source == "token_file" else lambda: path.read_text().split()[-2]
    with Client(address, **{source: chosen}) as client:
        client.capabilities()
        path.write_text("second\nolder\n")
        client.capabilities()
    assert tokens.seen == ["Bearer first", "Bearer second"]


@both_streams
@pytest.mark.parametrize(
    ("options", "advice"), [({}, "give it token"), ({"token": "old"}, "--auth-token-file")]
)
def test_a_stream_without_a_valid_token_ends_at_once(
    run: Any, options: Any, advice: str, address: str, tokens: RequireTokens
) -> None:
    """It does not reconnect, and the error says what to do."""
    with pytest.raises(CallFailed, match=f"no valid token.*{advice}") as raised:
        run(address, plain([TRACK]), **options)
    assert raised.value.code == grpc.StatusCode.UNAUTHENTICATED
    assert len(tokens.seen) == 1


@pytest.mark.parametrize(
    ("options", "advice"), [({}, "give it token"), ({"token": "old"}, "--auth-token-file")]
)
def test_a_call_without_a_valid_token_fails(options: Any, advice: str, address: str) -> None:
    """With the same words as a stream."""
    with Client(address, **options) as client, pytest.raises(CallFailed, match=advice) as raised:
        client.capabilities()
    assert raised.value.code == grpc.StatusCode.UNAUTHENTICATED


@both_streams
def test_a_stream_waits_for_a_token_that_cannot_be_read(
    run: Any, address: str, tmp_path: Path
) -> None:
    """A file that is replaced may be missing for a moment. The error names the file."""
    missing = tmp_path / "token"
    options = StreamOptions(reconnect_for_s=0.2)
    with pytest.raises(Unavailable, match=f"cannot read the token: .*{missing}"):
        run(address, plain([TRACK]), options, token_file=missing)
    writing = threading.Timer(0.1, missing.write_text, ("first",))
    writing.start()
    answers, _ = run(address, plain([TRACK]), token_file=missing)
    writing.join()
    assert answers[0].result.ok


def test_a_function_that_fails_does_not_tell_the_token(address: str) -> None:
    """What it raises may quote the token."""

    def fail() -> str:
        raise KeyError("first")

    with Client(address, token=fail) as client, pytest.raises(Unavailable) as raised:
        client.capabilities()
    assert "first" not in str(raised.value)


@both_clients
@pytest.mark.parametrize("remote", ["sidecar:50550", "192.0.2.1:50550", "dns:///sidecar:50550"])
async def test_no_token_leaves_the_host_without_tls(make: Any, remote: str) -> None:
    """Unless the caller says that the network is safe."""
    with pytest.raises(ValueError, match=f"token would be sent to {remote} in plain text"):
        make(remote, token="first")
    with pytest.raises(ValueError, match="in plain text"):
        make(remote, token_file="token")
    for safe in ({"insecure": True}, {"tls": Tls()}):
        await close(make(remote, token="first", **safe))


@both_clients
@pytest.mark.parametrize(
    "local",
    ["127.0.0.2:1", "[::1]:1", "localhost:1", "dns:///localhost:1", "unix:/a", "unix-abstract:a"],
)
async def test_a_token_may_stay_on_the_host(make: Any, local: str) -> None:
    """Loopback and unix sockets need no TLS."""
    await close(make(local, token="first"))


@both_clients
@pytest.mark.parametrize("token", ["", "two words", "line\n", "höchst"])
async def test_a_token_that_no_header_can_have_is_refused(make: Any, token: str) -> None:
    """The error does not repeat it."""
    with pytest.raises(ValueError, match="visible ASCII") as raised:
        make("127.0.0.1:1", token=token)
    assert not token or token not in str(raised.value)
    with pytest.raises(ValueError, match="not both"):
        make("127.0.0.1:1", token="first", token_file="path")
