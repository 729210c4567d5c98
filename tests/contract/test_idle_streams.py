"""What a stream holds while it waits for its caller."""

import asyncio
import gc

from ciosidecar import v1
from ciosidecar_server.rpc.results_message import ProtobufResults
from ciosidecar_transform import BatchTransform, native

from tests.conftest import Stub, batch, opened, results_of

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
WITHIN_S = 30


def _messages() -> int:
    """How many messages of results, and transforms that write to one, this process has."""
    kinds = {ProtobufResults, BatchTransform}
    if native.module is not None:
        kinds.add(native.module.ResultsMessage)
    return sum(type(one) in kinds for one in gc.get_objects())


async def test_a_stream_that_waits_holds_no_results(stub: Stub) -> None:
    """A thousand callers that are idle after a large batch cost as much as a thousand after a small one."""
    gc.collect()
    before = _messages()
    call, _ = await opened(stub)
    for batch_id in (1, 2):
        request = v1.TransformStreamRequest(batch=batch(*[TRACK] * 100, batch_id=batch_id))
        await call.write(request)
        (results,) = await results_of(call, batch_id)
        assert len(results.statuses) == 100
        async with asyncio.timeout(WITHIN_S):
            while _messages() > before:  # noqa: ASYNC110 - a state of the server, not of this test
                await asyncio.sleep(0.01)
    call.cancel()
