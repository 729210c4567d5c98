"""Server reflection: raw calls of both versions, and grpcurl itself."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_server.app import Sidecar
from ciosidecar_server.settings import Settings
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2

VERSIONS = ("v1", "v1alpha")
SERVICE = "ciosidecar.v1.SidecarService"
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
BUILD_LIMIT_S = 400


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Where a server with reflection listens."""
    sidecar = Sidecar(Settings(listen=("127.0.0.1:0",)))
    (found,) = await sidecar.start()
    yield found
    await sidecar.stop_at_once()


async def reflected(
    address: str, version: str, *requests: reflection_pb2.ServerReflectionRequest
) -> list[reflection_pb2.ServerReflectionResponse]:
    """The responses to requests on one stream."""
    async with aio.insecure_channel(address) as channel:
        call: Any = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )(iter(requests), timeout=20)
        return [response async for response in call]


def symbol(name: str) -> reflection_pb2.ServerReflectionRequest:
    """Asks for the file of a symbol."""
    return reflection_pb2.ServerReflectionRequest(host="h", file_containing_symbol=name)


def files(response: reflection_pb2.ServerReflectionResponse) -> dict[str, FileDescriptorProto]:
    """The files of a response, by their names."""
    found = map(
        FileDescriptorProto.FromString, response.file_descriptor_response.file_descriptor_proto
    )
    return {file.name: file for file in found}


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_services(address: str, version: str) -> None:
    """The contract, health, and both versions of reflection."""
    (response,) = await reflected(
        address, version, reflection_pb2.ServerReflectionRequest(list_services="*")
    )
    assert {one.name for one in response.list_services_response.service} == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "file"),
    [
        (SERVICE, "ciosidecar/v1/service.proto"),
        (f"{SERVICE}.Transform", "ciosidecar/v1/service.proto"),
        (f"{SERVICE}.TransformStream", "ciosidecar/v1/service.proto"),
        ("ciosidecar.v1.Batch", "ciosidecar/v1/event.proto"),
        ("ciosidecar.v1.Batch.items", "ciosidecar/v1/event.proto"),
        ("grpc.health.v1.Health.Check", "grpc_health/v1/health.proto"),
        ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
        (
            "grpc.reflection.v1.ServerReflection.ServerReflectionInfo",
            "grpc/reflection/v1/reflection.proto",
        ),
    ],
)
async def test_the_file_of_a_symbol(address: str, version: str, name: str, file: str) -> None:
    """A method's too, with everything that the file imports, and the request as it was."""
    (response,) = await reflected(address, version, symbol(name))
    assert response.original_request == symbol(name)
    found = files(response)
    assert file in found
    assert {each for one in found.values() for each in one.dependency} <= found.keys()


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_not_there(address: str, version: str) -> None:
    """NOT_FOUND for each, and the stream goes on."""
    names = ("", "x", f"{SERVICE}.Missing", "ciosidecar.v1.Missing", SERVICE)
    responses = await reflected(address, version, *map(symbol, names))
    assert [response.error_response.error_code for response in responses] == [5, 5, 5, 5, 0]
    assert [response.original_request for response in responses] == list(map(symbol, names))


@pytest.fixture(scope="module")
def grpcurl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """grpcurl, from this machine or built from its module."""
    if (there := shutil.which("grpcurl")) is not None:
        return there
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is neither grpcurl nor Go on this machine")
    place = tmp_path_factory.mktemp("grpcurl")
    try:
        subprocess.run(
            [go, "install", GRPCURL],
            env=os.environ | {"GOBIN": str(place)},
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT_S,
            check=True,
        )
    except subprocess.CalledProcessError as failure:
        pytest.skip(f"grpcurl cannot be built here: {failure.stderr.strip()[-300:]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"building grpcurl takes more than {BUILD_LIMIT_S} s here")
    return str(Path(place, "grpcurl"))


@pytest.mark.timeout(BUILD_LIMIT_S + 60)
async def test_grpcurl_describes_a_method(grpcurl: str, address: str) -> None:
    """And calls it, with no .proto at hand."""

    async def run(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            grpcurl,
            "-plaintext",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, errors.decode()
        return output.decode()

    described = await run(address, "describe", f"{SERVICE}.Transform")
    assert "rpc Transform ( .ciosidecar.v1.TransformRequest )" in described
    assert SERVICE in await run(address, "describe")
    answer = await run("-d", "{}", address, f"{SERVICE}/GetCapabilities")
    assert '"protocol_version": "ciosidecar.v1"' in answer
