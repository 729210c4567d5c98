"""The lower bound of cost: a server of the same contract that returns each event unchanged."""

import asyncio
import sys
from typing import Any

import uvloop
from ciosidecar import v1
from grpc import aio


class Echo(v1.SidecarServiceServicer):
    """Service that answers each item with its own bytes as the body of a request."""

    async def GetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise NotImplementedError

    async def CheckDestination(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise NotImplementedError

    async def Transform(self, request: v1.TransformRequest, context: Any) -> v1.TransformResponse:  # noqa: N802
        response = v1.TransformResponse()
        _echo(request.batch, response.results)
        return response

    async def Deliver(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise NotImplementedError

    async def TransformStream(self, requests: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        while (message := await context.read()) is not aio.EOF:
            response = v1.TransformStreamResponse()
            if message.WhichOneof("message") == "batch":
                _echo(message.batch, response.results)
            else:
                response.opened.session_id = "echo"
            await context.write(response)


def _echo(batch: v1.Batch, results: v1.Results) -> None:
    results.batch_id = batch.batch_id
    results.templates.add(method="POST", base_url="https://track.customer.io")
    for position, item in enumerate(batch.items):
        results.requests.add(path="/api/v1/events", body=item.json, positions=[position])
        results.statuses.append(200)
    results.batch_complete = True


async def main() -> None:
    """Print the port, and serve until the process is killed."""
    options = [("grpc.max_receive_message_length", 1 << 26), ("grpc.so_reuseport", 0)]
    server = aio.server(options=options)
    v1.add_SidecarServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f'{{"listen": ["127.0.0.1:{port}"]}}', flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(main())
