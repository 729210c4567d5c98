"""Bytes and texts on the wire that are not what the contract says: no call ends with INTERNAL."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from ciosidecar_server.app import Sidecar
from ciosidecar_server.settings import Settings
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from grpc import aio

from tests.conftest import (
    Connect,
    Stream,
    Stub,
    destination,
    end_of,
    opened,
    results_of,
)
from tests.fake_customerio import fake_customerio

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
SERVICE = "/ciosidecar.v1.SidecarService/"
PLACE = "a-text-to-replace"
Path = tuple[str, ...]
GARBAGE = {
    "bytes": b"\xff\xfe\xed\xa0\x80",
    "value": b'{"object":"\xff","siteID":"\xff","type":"\xff","userId":"\xed\xa0\x80"}',
    "key": b'{"destination":{"\xff":1},"config":{"\xfe":2},"\xff":3,"type":"track"}',
    "element": b'{"audienceId":5,"identifierMappings":[{"to":"\xff"}],"connectionMode":["\xff"]}',
    "deep": b'{"object":' + b"[" * 995 + b"]" * 995 + b"}",
    "deep-setting": b'{"siteID":"s","apiKey":"k","connectionMode":'
    + b"[" * 994
    + b"]" * 994
    + b"}",
    "deeper": b'{"a":' * 20_000,
}


def fields(kind: int, descriptor: Descriptor, depth: int = 8) -> Iterator[Path]:
    """The paths of all fields of a kind below a message, but for those in a Struct."""
    for field in descriptor.fields:
        if field.type == kind:
            yield (field.name,)
        elif (
            field.message_type is not None
            and depth
            and "google" not in field.message_type.file.name
        ):
            for path in fields(kind, field.message_type, depth - 1):
                yield (field.name, *path)


def set_at(message: Message, path: Path, value: bytes | str) -> None:
    """Sets one field; in lists, of a new element; in maps, a key or a value."""
    field: Any
    for name in path[:-1]:
        field = message.DESCRIPTOR.fields_by_name[name]
        found = getattr(message, name)
        if not field.is_repeated:
            message = found
        elif field.message_type.GetOptions().map_entry:
            content = field.message_type.fields_by_name["value"].default_value
            found["key" if path[-1] == "value" else value] = (
                value if path[-1] == "value" else content
            )
            return
        else:
            message = found.add()
    field = message.DESCRIPTOR.fields_by_name[path[-1]]
    if field.is_repeated:
        getattr(message, path[-1]).append(value)
    else:
        setattr(message, path[-1], value)


def garbled(kind: type[Message], path: Path) -> bytes:
    """A message on the wire with a text that is not UTF-8 at one place."""
    message = kind()
    set_at(message, path, PLACE)
    said = message.SerializeToString()
    assert said.count(PLACE.encode()) == 1
    return said.replace(PLACE.encode(), PLACE[:-1].encode() + b"\xff")


def ids(paths: list[Path]) -> list[str]:
    return [".".join(path) for path in paths]


BYTES = list(fields(FieldDescriptor.TYPE_BYTES, v1.TransformStreamRequest.DESCRIPTOR))
TEXTS = [
    (kind, path)
    for kind in (v1.TransformRequest, v1.CheckDestinationRequest, v1.TransformStreamRequest)
    for path in fields(FieldDescriptor.TYPE_STRING, kind.DESCRIPTOR)
]


def request_with(path: Path, garbage: bytes) -> v1.TransformStreamRequest:
    """A message that has garbage in one field, and whatever it needs to be taken otherwise."""
    message = v1.TransformStreamRequest()
    set_at(message, path, garbage)
    declared: Any
    for declared in (
        *message.open.destinations,
        *message.open.connections,
        *message.upsert_destinations.destinations,
        *message.upsert_destinations.connections,
    ):
        declared.number = 7
    # Reading a member of a oneof sets nothing, so this is still what it was.
    assert message.WhichOneof("message") == path[0]
    return message


async def use(call: Stream, message: v1.TransformStreamRequest) -> None:
    """Sends it, uses what it declares, and then something good beside it: all have results."""
    if message.WhichOneof("message") == "batch":
        batch = message.batch
    else:
        if message.WhichOneof("message") == "upsert_destinations":
            await call.write(message)
        row = b'{"type":"record","action":"insert","identifiers":{"id":"u1"}}'
        batch = v1.Batch(
            items=[
                v1.BatchItem(json=TRACK, destination=7),
                v1.BatchItem(json=row, destination=1, connection=7),
            ]
        )
    batch.batch_id = 1
    batch.items.add(json=TRACK, destination=1)
    await call.write(v1.TransformStreamRequest(batch=batch))
    statuses: dict[int, int] = {}
    for results in await results_of(call):
        first = results.first_position
        positions = results.positions or range(first, first + len(results.statuses))
        statuses.update(zip(positions, results.statuses, strict=True))
    assert sorted(statuses) == list(range(len(batch.items)))
    assert statuses[len(batch.items) - 1] == 200
    assert 500 not in statuses.values()
    await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
    assert await end_of(call) == (grpc.StatusCode.OK, "")


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("path", BYTES, ids=ids(BYTES))
async def test_garbage_in_any_bytes_is_its_own_matter(
    connect: Connect, path: Path, garbage: bytes
) -> None:
    """Whichever field of bytes holds it: the stream lives on, with and without delivery."""
    message = request_with(path, garbage)
    first: v1.OpenStream = message.open if path[0] == "open" else v1.OpenStream()
    known = [destination(1), *first.destinations]
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        for opening in ({}, {"delivery": v1.DeliveryOptions()}):
            call, _ = await opened(
                stub, destinations=known, connections=list(first.connections), **opening
            )
            await use(call, message)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_a_connection_that_cannot_be_read_refuses_its_records_by_name(
    stub: Stub, garbage: bytes
) -> None:
    """Each record is INVALID_RECORD, and the text says that it is the connection's config."""
    row = b'{"type":"record","action":"insert","identifiers":{"id":"u1"}}'
    request = v1.TransformRequest(
        destinations=[destination()],
        connections=[v1.SourceConnection(reference_id=1, config_json=garbage)],
        batch=v1.Batch(
            destination=1, connection=1, items=[v1.BatchItem(json=row), v1.BatchItem(json=TRACK)]
        ),
    )
    results = (await stub.Transform(request, timeout=10)).results
    assert list(results.statuses) == [400, 200]
    error = results.details[0].error
    assert error.code == v1.ErrorCode.ERROR_CODE_INVALID_RECORD
    assert "the connection's config must" in error.message


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_a_destination_that_cannot_be_read_is_a_problem(stub: Stub, garbage: bytes) -> None:
    """CheckDestination answers: not usable, or usable with what it passed over."""
    request = v1.CheckDestinationRequest(destination=destination(config=garbage))
    found = await stub.CheckDestination(request, timeout=10)
    assert found.problems


@pytest.fixture
async def channel() -> AsyncIterator[Any]:
    """A channel to a server, for peers that send what they like."""
    sidecar = Sidecar(Settings(listen=("127.0.0.1:0",)))
    (address,) = await sidecar.start()
    async with aio.insecure_channel(address) as found:
        yield found
    await sidecar.stop_at_once()


METHODS = {
    v1.TransformRequest: "Transform",
    v1.CheckDestinationRequest: "CheckDestination",
    v1.TransformStreamRequest: "TransformStream",
}


async def said(channel: Any, method: str, message: bytes) -> tuple[Any, str]:
    """The status of a call whose only message is these bytes."""
    call: Any
    if "Stream" in method or "Reflection" in method:
        call = channel.stream_stream(method)()
        await call.write(message)
        return await end_of(call)
    if method.endswith("Watch"):
        call = channel.unary_stream(method)(message)
        return await end_of(call)
    call = channel.unary_unary(method)(message)
    async with asyncio.timeout(10):
        return await call.code(), await call.details()


@pytest.mark.parametrize(
    ("kind", "path"), TEXTS, ids=[f"{kind.__name__}.{'.'.join(path)}" for kind, path in TEXTS]
)
async def test_a_text_that_is_not_utf_8_fails_the_call(
    channel: Any, kind: type[Message], path: Path
) -> None:
    """Whichever field of text it is: INVALID_ARGUMENT, in words of ours."""
    code, details = await said(channel, SERVICE + METHODS[kind], garbled(kind, path))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "UTF-8" in details


@pytest.mark.parametrize(
    "method",
    [
        f"{SERVICE}GetCapabilities",
        f"{SERVICE}CheckDestination",
        f"{SERVICE}Transform",
        f"{SERVICE}TransformStream",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
async def test_bytes_that_are_no_protobuf_are_invalid_arguments(
    channel: Any, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On every call: words of ours, one line in the log, no traceback, and nothing quoted."""
    with caplog.at_level(logging.DEBUG):
        code, details = await said(channel, method, b"\xff\xff s3cret")
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "no protobuf message" in details
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert method in record.getMessage()
    assert record.exc_info is None
    for words in (details, caplog.text):
        assert "s3cret" not in words
        assert "Error" not in words


async def test_what_came_before_an_unreadable_message_is_answered(channel: Any) -> None:
    """The stream ends there, with BadRequest; the batch before it has its results."""
    call: Any = channel.stream_stream(
        f"{SERVICE}TransformStream",
        request_serializer=bytes,
        response_deserializer=v1.TransformStreamResponse.FromString,
    )()
    opening = v1.OpenStream(destinations=[destination()])
    await call.write(v1.TransformStreamRequest(open=opening).SerializeToString())
    assert (await call.read()).WhichOneof("message") == "opened"
    good = v1.Batch(batch_id=1, destination=1, items=[v1.BatchItem(json=TRACK)])
    await call.write(v1.TransformStreamRequest(batch=good).SerializeToString())
    assert [list(one.statuses) for one in await results_of(call)] == [[200]]
    await call.write(b"\xff")
    assert (await end_of(call))[0] == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(("levels", "code"), [(30, "OK"), (40, "INVALID_ARGUMENT")])
async def test_a_struct_nested_too_deeply_fails_the_message(
    channel: Any, levels: int, code: str
) -> None:
    """Protobuf reads messages 100 levels deep, and a Struct takes three for each of its own."""
    code_found, _ = await said(channel, f"{SERVICE}Transform", deep_struct(levels))
    assert code_found.name == code


def deep_struct(levels: int) -> bytes:
    """A Transform whose event has traits of so many levels, which protobuf itself may not write."""

    def field(number: int, content: bytes) -> bytes:
        size, prefix = len(content), b""
        while size > 127:
            prefix += bytes([size & 127 | 128])
            size >>= 7
        return bytes([number << 3 | 2]) + prefix + bytes([size]) + content

    struct = b""
    for _ in range(levels):
        # Struct.fields: {"a": Value(struct_value=…)}
        struct = field(1, field(1, b"a") + field(2, field(5, struct)))
    batch = field(2, field(2, field(13, field(2, struct))))
    return field(3, batch)
