"""Peers that say nothing, or half of something, or a byte a second: each connection ends after a documented time."""

import asyncio
import time
from contextlib import suppress

from ciosidecar import v1

from tests.conftest import batch, destination, opened, results_of
from tests.contract.test_bad_peers import PREFACE, SETTINGS, until_freed
from tests.processes import server
from tests.resources.others import TRACK
from tests.resources.process import descriptors, others_of, stub_of
from tests.sandbox.support import sandbox_process

# The documented times are 10, 5 and 10 seconds; a machine may be busy.
WITHIN_S = 25
HALF_HEADERS = b"\x00\x40\x00\x01\x00\x00\x00\x00\x01" + b"x" * 100
HALF_DATA = b"\x00\x40\x00\x00\x00\x00\x00\x00\x01" + b"x" * 100
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: "
HALF_BODY = (
    b"POST /api/v2/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic c2l0ZTprZXk=\r\n"
    b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
)


async def life_s(address: str, said: bytes, *, trickle: bytes = b"") -> float:
    """How long a connection lives. trickle: what is said every half second."""
    host, _, port = address.rpartition(":")
    begun_at = time.monotonic()
    reader, writer = await asyncio.open_connection(host, int(port))

    async def say_on() -> None:
        while True:
            await asyncio.sleep(0.5)
            writer.write(trickle)

    saying = asyncio.create_task(say_on()) if trickle else None
    with suppress(ConnectionError):
        writer.write(said)
        async with asyncio.timeout(WITHIN_S):
            while await reader.read(1_000):
                pass
    if saying is not None:
        saying.cancel()
    writer.close()
    return time.monotonic() - begun_at


async def test_slow_peers_are_let_go() -> None:
    """Towards callers, at the admin port and at the sandbox; others are served all the while."""
    with (
        server("--listen", "127.0.0.1:0") as running,
        server("--listen", "127.0.0.1:0", "--connection-idle-s", "1") as impatient,
        sandbox_process() as customerio,
    ):
        address, admin = running.addresses[0], running.admin.removeprefix("http://")
        sandbox = customerio.url.removeprefix("http://")
        async with others_of(running) as others:
            files = descriptors(running)
            lives = await asyncio.gather(
                *(life_s(address, said) for said in (b"", PREFACE[:7], PREFACE)),
                *(
                    life_s(impatient.addresses[0], PREFACE + SETTINGS + said)
                    for said in (b"", HALF_HEADERS, HALF_DATA)
                ),
                *(life_s(admin, said) for said in (b"", HALF_HEAD)),
                life_s(admin, HALF_HEAD, trickle=b"x"),
                *(life_s(sandbox, said) for said in (b"", HALF_HEAD, HALF_BODY)),
                life_s(sandbox, HALF_BODY, trickle=b" "),
            )
        assert max(lives) < WITHIN_S
        assert min(lives[:3]) > 5, "a slow network needs some time for the preface"
        assert others.p99_s < 1.0
        await until_freed(running, files)


async def test_a_client_goes_on_after_its_connection_was_idle() -> None:
    """A connection without a call is closed, and the client connects again. One with a stream is kept."""
    request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))
    with server("--listen", "127.0.0.1:0", "--connection-idle-s", "1") as running:
        async with stub_of(running) as streaming, stub_of(running) as stub:
            call, _ = await opened(streaming)
            await stub.Transform(request, timeout=20)
            files = descriptors(running)
            async with asyncio.timeout(20):
                while descriptors(running) >= files:  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.05)
            assert list((await stub.Transform(request, timeout=20)).results.statuses) == [200]
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK)))
            (results,) = await results_of(call)
            assert list(results.statuses) == [200]
