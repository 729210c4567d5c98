"""Bearer tokens: every call but health needs one, and several may be valid at a time."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import batch, end_of, opened, results_of
from tests.processes import Server, server
from tests.security.watching import log_of, wait_for_log

FIRST, SECOND, THIRD = "first-secret-0123456789", "second-secret-0123456", "third-secret-012345678"
TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
SERVICE = "/ciosidecar.v1.SidecarService/"
METHODS = [
    *(
        f"{SERVICE}{name}"
        for name in ("GetCapabilities", "CheckDestination", "Transform", "Deliver")
    ),
    f"{SERVICE}TransformStream",
    f"{SERVICE}NoSuchMethod",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.health.v1.HealthX/Check",
]
READ_AGAIN = "the tokens were read again"
REFUSED_LINE = "without a valid bearer token, refused"


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with a token."""
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A file with two tokens."""
    file = tmp_path / "tokens"
    file.write_text(f"# the callers of today\n{FIRST}\n\n{SECOND}\r\n")
    return file


@pytest.fixture
def running(tokens: Path) -> Any:
    """A server that takes them."""
    with server(
        "--listen", "127.0.0.1:0", "--auth-token-file", str(tokens), "--log-level", "debug"
    ) as started:
        yield started


@pytest.fixture
async def channel(running: Server) -> AsyncIterator[aio.Channel]:
    """A channel to it."""
    async with aio.insecure_channel(running.addresses[0]) as opened_channel:
        yield opened_channel


def put(file: Path, text: str | None) -> None:
    """Write a file of tokens, or remove it."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)


async def refusal(call: Any) -> str:
    """The message with which a call is refused."""
    with pytest.raises(aio.AioRpcError) as refused:
        await call
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    return refused.value.details() or ""


async def capabilities(channel: aio.Channel, *metadata: tuple[str, str]) -> Any:
    """Make a call with metadata."""
    stub: Any = v1.SidecarServiceStub(channel)
    return await stub.GetCapabilities(
        v1.GetCapabilitiesRequest(), metadata=metadata or None, timeout=60
    )


async def test_every_call_needs_a_token(channel: aio.Channel, running: Server) -> None:
    """Reflection and methods that do not exist as well; the message says what to do."""
    for method in METHODS:
        unary: Any = channel.unary_unary(method)
        said = await refusal(unary(b"", timeout=60))
        assert "needs a bearer token" in said, method
        assert "authorization: Bearer TOKEN" in said
        call: Any = channel.stream_stream(method)(timeout=60)
        assert (await end_of(call))[0] == grpc.StatusCode.UNAUTHENTICATED, method
    await wait_for_log(running, REFUSED_LINE)
    assert log_of(running).count(REFUSED_LINE) == 1


async def test_health_needs_none(channel: aio.Channel) -> None:
    """Load balancers and kubelets have no token."""
    health: Any = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


@pytest.mark.parametrize(
    "value", [f"Bearer {FIRST}", f"Bearer {SECOND}", f"bearer {FIRST}", f"BEARER  {FIRST} "]
)
async def test_each_valid_token_is_accepted(channel: aio.Channel, value: str) -> None:
    """The scheme's case does not matter (RFC 9110)."""
    assert (await capabilities(channel, ("authorization", value))).server_version


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (f"Bearer {THIRD}", "is not valid"),
        (f"Bearer {FIRST[:-1]}", "is not valid"),
        (f"Bearer {FIRST}{SECOND}", "is not valid"),
        (f"Bearer {FIRST.upper()}", "is not valid"),
        ("Bearer # the callers of today", "is not valid"),
        ("Bearer ", "needs a bearer token"),
        (f"Basic {FIRST}", "needs a bearer token"),
        (FIRST, "needs a bearer token"),
        ("", "needs a bearer token"),
    ],
)
async def test_another_token_is_refused_and_not_echoed(
    channel: aio.Channel, running: Server, value: str, words: str
) -> None:
    """Neither in the message nor in the log at debug."""
    said = await refusal(capabilities(channel, ("authorization", value)))
    assert words in said
    for text in (said, log_of(running)):
        assert "secret" not in text.lower()


async def test_tokens_are_rotated(channel: aio.Channel, running: Server, tokens: Path) -> None:
    """A token that was taken out is not valid for new calls; the stream that began with it goes on."""
    stub: Any = v1.SidecarServiceStub(channel)
    with_token = SimpleNamespace(
        TransformStream=lambda: stub.TransformStream(metadata=bearer(FIRST))
    )
    call, _ = await opened(with_token)
    put(tokens, f"{SECOND}\n{THIRD}\n")
    await wait_for_log(running, READ_AGAIN)
    assert "is not valid" in await refusal(capabilities(channel, *bearer(FIRST)))
    for token in (SECOND, THIRD):
        assert (await capabilities(channel, *bearer(token))).server_version
    await call.write(v1.TransformStreamRequest(batch=batch(TRACK)))
    (results,) = await results_of(call)
    assert list(results.statuses) == [200]
    call.cancel()


async def test_an_unusable_new_file_keeps_the_tokens(
    channel: aio.Channel, running: Server, tokens: Path
) -> None:
    """An empty file, as while it is written, must neither lock all callers out nor let all in."""
    put(tokens, "")
    await wait_for_log(running, "the tokens changed and cannot be used")
    assert (await capabilities(channel, *bearer(FIRST))).server_version
    await refusal(capabilities(channel))
    put(tokens, None)
    await wait_for_log(running, "No such file or directory")
    assert (await capabilities(channel, *bearer(FIRST))).server_version
    put(tokens, f"{THIRD}\n")
    await wait_for_log(running, READ_AGAIN)
    assert (await capabilities(channel, *bearer(THIRD))).server_version
