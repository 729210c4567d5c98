"""Results that come while other results are being written: each is written once, and so is the end of its batch."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ciosidecar import v1
from ciosidecar_server.delivery.dispatcher import Dispatcher
from ciosidecar_server.delivery.observer import MessageTrace
from ciosidecar_server.rpc.codec import choose_codec, results_writers
from ciosidecar_server.rpc.counting import DestinationLabel
from ciosidecar_server.rpc.decoding import RejectedItem
from ciosidecar_server.rpc.delivery_batch import DeliveryBatch
from ciosidecar_server.rpc.delivery_items import NOT_SENT
from ciosidecar_server.rpc.delivery_worker import DeliveryWorker
from ciosidecar_server.rpc.destinations import KnownDestinations
from ciosidecar_server.rpc.flow_control import FlowControl
from ciosidecar_server.rpc.observer import NoRpcObserver
from ciosidecar_server.rpc.request_message import ProtobufBatch
from ciosidecar_server.rpc.results_message import EncodedResults
from ciosidecar_server.rpc.tap import NoItemTap, StreamTap
from ciosidecar_server.rpc.worker import Output
from ciosidecar_server.server_destinations import ServerDestinations
from ciosidecar_server.settings import Settings

from tests.fake_customerio import WITHIN_S

LABEL = DestinationLabel("", "v1")


class SlowReader:
    """A caller that takes its first message when the test says so."""

    def __init__(self) -> None:
        self.results: list[v1.Results] = []
        self.writing = asyncio.Event()
        self.reads = asyncio.Event()

    async def write(self, response: EncodedResults) -> None:
        self.writing.set()
        await self.reads.wait()
        self.results.append(v1.TransformStreamResponse.FromString(response.data).results)


def answer(batch: DeliveryBatch, position: int) -> None:
    """Answer an item that has no request."""
    batch.accept(RejectedItem(position, v1.BatchItem(), LABEL, NOT_SENT), NOT_SENT)


@asynccontextmanager
async def worker_of(
    write: Callable[[EncodedResults], Awaitable[None]],
) -> AsyncIterator[DeliveryWorker]:
    """The worker of a stream that nothing limits."""
    settings = Settings()
    dispatcher = Dispatcher(settings)
    worker = DeliveryWorker(
        dispatcher,
        KnownDestinations(10, ServerDestinations(settings)),
        settings,
        v1.DeliveryOptions(),
        Output(results_writers(choose_codec(), v1.TransformStreamResponse), write),
        FlowControl.unlimited(),
        NoRpcObserver(),
        StreamTap(NoItemTap()),
    )
    try:
        yield worker
    finally:
        worker.abandon()
        await dispatcher.aclose()


async def test_a_batch_that_completes_while_another_is_written_ends_once() -> None:
    """Its last results travel with those that waited, and nothing of it is written after batch_complete."""
    reader = SlowReader()
    async with worker_of(reader.write) as worker:
        first, second = (
            worker.begin(
                ProtobufBatch(v1.Batch(batch_id=number, items=[v1.BatchItem()] * 2)), MessageTrace()
            )
            for number in (1, 2)
        )
        answer(first, 0)
        answer(second, 0)
        answer(first, 1)
        await asyncio.wait_for(reader.writing.wait(), WITHIN_S)
        answer(second, 1)
        reader.reads.set()
        await asyncio.wait_for(worker.finish(), WITHIN_S)
        # What would be written again is written with the results of a third batch.
        third = worker.begin(
            ProtobufBatch(v1.Batch(batch_id=3, items=[v1.BatchItem()])), MessageTrace()
        )
        answer(third, 0)
        await asyncio.wait_for(worker.finish(), WITHIN_S)
    assert [
        (each.batch_id, len(each.statuses), each.batch_complete) for each in reader.results
    ] == [(1, 2, True), (2, 2, True), (3, 1, True)]


async def test_a_batch_is_freed_once_it_is_written() -> None:
    """Its events are no longer outstanding: the caller sends others while the rest of the results is written."""
    held = weakref.WeakSet[DeliveryBatch]()
    held_at_each: list[int] = []

    async def write(_: EncodedResults) -> None:
        gc.collect()
        held_at_each.append(len(held))

    async with worker_of(write) as worker:
        for number in range(5):
            batch = worker.begin(
                ProtobufBatch(v1.Batch(batch_id=number, items=[v1.BatchItem()])), MessageTrace()
            )
            held.add(batch)
            answer(batch, 0)
        del batch
        await asyncio.wait_for(worker.finish(), WITHIN_S)
    assert held_at_each == [5, 4, 3, 2, 1]
