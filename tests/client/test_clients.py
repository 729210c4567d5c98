"""`Client` and `AsyncClient`: one batch, addresses, TLS, failures."""

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from ciosidecar import (
    AsyncClient,
    CallFailed,
    Client,
    Destination,
    SidecarError,
    StreamOptions,
    Tls,
    Unavailable,
    v1,
)
from ciosidecar_server.testing import async_server, run_in_background, server

from tests.client.both import CONFIG, TRACK, plain, run_async, run_sync
from tests.client.scripted import Connection, scripted

GROUP = {"type": "group", "userId": "u", "groupId": "g"}


def call_sync(addresses: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """One call of the synchronous client."""
    keywords = {"timeout_s": options.pop("timeout_s")} if "timeout_s" in options else {}
    with Client(addresses, **options) as client:
        return getattr(client, method)(*arguments, **keywords)


def call_async(addresses: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """The same call of the asynchronous client."""
    keywords = {"timeout_s": options.pop("timeout_s")} if "timeout_s" in options else {}

    async def main() -> Any:
        async with AsyncClient(addresses, **options) as client:
            return await getattr(client, method)(*arguments, **keywords)

    return run_in_background(main())


both = pytest.mark.parametrize("call", [call_sync, call_async], ids=["sync", "async"])
both_streams = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])


@both
def test_one_batch_in_its_results_out(call: Any) -> None:
    """Results in order, one an event, with everything there is to say."""
    events = [TRACK, {"type": "track"}, GROUP, GROUP]
    with server() as sidecar:
        results = call(sidecar.address, "transform", events, CONFIG)
    assert [result.status for result in results] == [200, 400, 200, 200]
    assert [result.ok for result in results] == [True, False, True, True]
    assert results[1].error.code == "MISSING_EVENT_NAME"
    assert results[2].requests == ()
    assert results[3].requests[0].positions == (2, 3)


@both
def test_a_destination_may_be_a_dict_bytes_or_made_before(call: Any) -> None:
    """Whatever form it has, it is the same destination; its secret is in no repr."""
    config = {"siteID": "site", "apiKey": "s3cret"}
    forms = [config, b'{"siteID":"site","apiKey":"s3cret"}', Destination.of(config)]
    with server() as sidecar:
        by_dict, by_bytes, by_destination = (
            call(sidecar.address, "transform", [TRACK], form)[0].requests for form in forms
        )
    assert by_dict == by_bytes == by_destination
    assert "s3cret" not in repr(forms[2])


@both
def test_a_destination_can_be_checked(call: Any) -> None:
    """What is wrong with it, by key."""
    with server() as sidecar:
        answer = call(sidecar.address, "check", {"siteID": "site"})
    assert not answer.usable
    assert answer.problems[0].key == "apiKey"


@both
def test_capabilities_say_what_the_server_is(call: Any) -> None:
    """The contract's name, and the limits."""
    with server(max_batch_events=7) as sidecar:
        capabilities = call(sidecar.address, "capabilities")
    assert capabilities.protocol_version == "ciosidecar.v1"
    assert capabilities.limits.max_batch_events == 7


@both
def test_a_refused_call_says_how(call: Any) -> None:
    """CallFailed with the status and the server's words."""
    with server(max_batch_events=1) as sidecar, pytest.raises(CallFailed, match=r"batch\.items"):
        call(sidecar.address, "transform", [TRACK, TRACK], CONFIG)


@both
@pytest.mark.parametrize(
    ("method", "arguments"),
    [("transform", ([TRACK], CONFIG)), ("check", (CONFIG,)), ("capabilities", ())],
)
def test_nobody_there_is_unavailable(call: Any, method: str, arguments: Any) -> None:
    """After gRPC's own few tries."""
    with pytest.raises(Unavailable):
        call("127.0.0.1:1", method, *arguments, timeout_s=20)


@both
def test_a_deadline_is_kept(call: Any) -> None:
    """A call that takes longer than its timeout fails with DEADLINE_EXCEEDED."""
    with server() as sidecar, pytest.raises(CallFailed, match="DEADLINE_EXCEEDED"):
        call(sidecar.address, "transform", [TRACK] * 5000, CONFIG, timeout_s=0.001)


@both_streams
def test_a_unix_socket_is_an_address(run: Any, tmp_path: Path) -> None:
    """unix:PATH, the nearest way to a sidecar."""
    with server(listen=(f"unix:{tmp_path}/s.sock",)) as sidecar:
        answers, _ = run(sidecar.address, plain([TRACK] * 10))
    assert [answer.result.status for answer in answers] == [200] * 10


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_calls_take_turns_among_several_addresses(kind: str, tmp_path: Path) -> None:
    """Round-robin; a server that drains gets no more calls."""
    listens = [("127.0.0.1:0",)] * 2
    if kind == "unix":
        listens = [(f"unix:{tmp_path}/{name}.sock",) for name in "ab"]
    with (
        server(listen=listens[0], max_batch_events=1) as first,
        server(listen=listens[1], max_batch_events=2) as second,
        Client([first.address, second.address]) as client,
    ):
        names = Counter[int]()
        while len(names) < 2:  # until both are connected
            names[client.capabilities().limits.max_batch_events] += 1
        turns = [client.capabilities().limits.max_batch_events for _ in range(10)]
        assert sorted(turns) == [1] * 5 + [2] * 5
        first.drain()
        left = {client.capabilities().limits.max_batch_events for _ in range(10)}
    assert left == {2}


@both_streams
def test_a_stream_moves_to_another_address_when_its_server_drains(run: Any) -> None:
    """Two servers, one drained in the middle: every event is answered, in order."""
    with server() as first, server() as second:

        def sends() -> Any:
            for index in range(2000):
                if index == 1000:
                    first.drain() if run is run_sync else None
                yield b'{"type":"track","userId":"u%d","event":"E"}' % index, {}

        answers, _ = run([first.address, second.address], sends(), StreamOptions(linger_s=0.001))
    assert [answer.result.position for answer in answers] == list(range(2000))
    assert {answer.result.status for answer in answers} == {200}


@pytest.mark.parametrize(
    "addresses", [[], ["127.0.0.1:1", "unix:/a"], ["localhost:1", "localhost:2"]]
)
def test_addresses_that_cannot_be_one_target_are_refused(addresses: list[str]) -> None:
    """The error says what would do."""
    with pytest.raises(ValueError, match="dns:///"):
        Client(addresses)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private certificate authority."""
    return trustme.CA()


@pytest.fixture
def tls_files(authority: trustme.CA, tmp_path: Path) -> dict[str, Path]:
    """The server's key and certificate, and the authority's, as files."""
    leaf = authority.issue_cert("sidecar.test", "127.0.0.1")
    paths = {name: tmp_path / f"{name}.pem" for name in ("key", "cert", "ca")}
    leaf.private_key_pem.write_to_path(paths["key"])
    paths["cert"].write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    authority.cert_pem.write_to_path(paths["ca"])
    return paths


@both_streams
def test_tls_with_a_private_authority(run: Any, tls_files: dict[str, Path]) -> None:
    """The client accepts certificates of its authority, and no others."""
    with server(tls_cert=tls_files["cert"], tls_key=tls_files["key"]) as sidecar:
        tls = Tls.from_files(str(tls_files["ca"]))
        answers, _ = run(sidecar.address, plain([TRACK]), tls=tls)
        assert answers[0].result.status == 200
        with pytest.raises(Unavailable):
            run(sidecar.address, plain([TRACK]), StreamOptions(reconnect_for_s=0.2), tls=Tls())
        with pytest.raises(Unavailable):
            run(sidecar.address, plain([TRACK]), StreamOptions(reconnect_for_s=0.2))


@both
def test_tls_with_a_client_certificate(
    call: Any, tls_files: dict[str, Path], authority: trustme.CA
) -> None:
    """A server that requires client certificates refuses a client without one."""
    mine = authority.issue_cert("client.test")
    root = tls_files["ca"].read_bytes()
    known = Tls(
        root_certificates=root,
        private_key=mine.private_key_pem.bytes(),
        certificate_chain=mine.cert_chain_pems[0].bytes(),
        server_name="sidecar.test",
    )
    settings = {"tls_cert": tls_files["cert"], "tls_key": tls_files["key"]}
    with server(**settings, tls_client_ca=tls_files["ca"]) as sidecar:
        assert call(sidecar.address, "transform", [TRACK], CONFIG, tls=known)[0].status == 200
        with pytest.raises(Unavailable):
            call(sidecar.address, "transform", [TRACK], CONFIG, tls=Tls(root_certificates=root))


async def test_a_server_in_the_tests_own_loop() -> None:
    """`async_server` for tests that run in asyncio themselves."""
    async with async_server() as sidecar, AsyncClient(sidecar.address) as client:
        (result,) = await client.transform([TRACK], CONFIG)
    assert result.status == 200


async def test_an_async_stream_that_was_left_fails_whoever_still_uses_it(no_listener: str) -> None:
    """No caller waits forever: sending and iterating raise after the block, as in the sync form."""
    options = StreamOptions(max_outstanding_events=1)
    async with AsyncClient(no_listener) as client:
        async with client.stream(CONFIG, options) as stream:
            await stream.send(TRACK)
            waiting = asyncio.create_task(stream.send(TRACK))
            await asyncio.sleep(0)
        with pytest.raises(SidecarError):
            await asyncio.wait_for(waiting, 10)
        with pytest.raises(SidecarError):
            await asyncio.wait_for(stream.send(TRACK), 10)
        with pytest.raises(SidecarError):
            await asyncio.wait_for(anext(aiter(stream)), 10)


async def test_an_async_stream_maps_an_async_iterable() -> None:
    """Events may come from asyncio too."""

    async def events() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield TRACK

    async with (
        async_server() as sidecar,
        AsyncClient(sidecar.address) as client,
        client.stream(CONFIG) as stream,
    ):
        assert [answer.result.status async for answer in stream.map(events())] == [200] * 5


async def test_a_draining_sidecar_can_be_tested_in_asyncio() -> None:
    """`async_server` can do what `server` can."""
    async with async_server() as sidecar, AsyncClient(sidecar.address) as client:
        assert (await client.transform([TRACK], CONFIG))[0].ok
        await sidecar.drain()
        with pytest.raises(Unavailable):
            await client.transform([TRACK], CONFIG, timeout_s=20)


def test_leaving_the_iteration_loses_no_answer() -> None:
    """After a break, iterating again yields the remaining answers."""
    with server() as sidecar, Client(sidecar.address) as client, client.stream(CONFIG) as stream:
        for index in range(100):
            stream.send(TRACK, index)
        stream.finish()
        first = next(iter(stream))
        assert [first.attachment, *(answer.attachment for answer in stream)] == list(range(100))


def test_results_can_be_hashed_and_logged_without_their_secrets() -> None:
    """A repr shows no Authorization header; equal requests have equal hashes."""
    with server() as sidecar, Client(sidecar.address) as client:
        first, second = (client.transform([TRACK], CONFIG)[0] for _ in range(2))
    assert "Basic" not in repr(first)
    assert hash(first) == hash(second)


@pytest.mark.parametrize("leave", ["finished", "early", "refused"])
def test_no_call_of_grpcs_outlives_its_stream(leave: str) -> None:
    """One that waits for the garbage collector may hang the interpreter when it ends."""

    def calls() -> list[object]:
        return [
            value
            for value in gc.get_objects()
            if type(value).__name__ == "_MultiThreadedRendezvous"
        ]

    gc.collect()
    gc.disable()
    try:
        before = calls()
        with (
            server(max_batch_events=100) as sidecar,
            Client(sidecar.address) as client,
            client.stream(CONFIG, StreamOptions(max_batch_events=10)) as stream,
        ):
            for _ in range(100):
                stream.send(TRACK)
            if leave == "finished":
                stream.finish()
                assert len(list(stream)) == 100
            elif leave == "refused":
                sidecar.stop()
        # Those of an earlier test are kept alive by `before`.
        assert len(calls()) == len(before)
    finally:
        gc.enable()


def test_an_event_after_a_quiet_time_is_not_held_back() -> None:
    """The stream is open and has nothing to send: the next event must still start the clock."""
    opened = threading.Event()

    class Responses:
        """A call's responses; asking for the second says that the first has been dealt with."""

        def __init__(self, call: Any) -> None:
            self._call = call
            self._asked = 0

        def __iter__(self) -> "Responses":
            return self

        def __next__(self) -> v1.TransformStreamResponse:
            self._asked += 1
            if self._asked == 2:
                opened.set()
            response: v1.TransformStreamResponse = next(self._call)
            return response

        def __getattr__(self, name: str) -> Any:
            return getattr(self._call, name)

    class Listening(grpc.StreamStreamClientInterceptor):
        def intercept_stream_stream(
            self, continuation: Any, client_call_details: Any, request_iterator: Any
        ) -> Any:
            return Responses(continuation(client_call_details, request_iterator))

    def script(connection: Connection) -> None:
        connection.open()
        connection.answer_everything()

    with scripted(script) as (address, _), grpc.insecure_channel(address) as channel:
        listening = grpc.intercept_channel(channel, Listening())
        with Client(channel=listening) as client, client.stream(CONFIG) as stream:
            assert opened.wait(20)
            stream.send(TRACK, "alone")
            assert next(iter(stream)).attachment == "alone"
