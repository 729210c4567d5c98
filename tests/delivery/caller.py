"""A caller of the sidecar who has his events delivered, over a stream of his own, and what he is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from ciosidecar import v1
from grpc import aio

from tests.conftest import Connect, Stream, Stub, opened
from tests.fake_customerio import WITHIN_S, FakeCustomerio

CONFIG = b'{"siteID": "site", "apiKey": "a-secret-key"}'
CONFIG_V2 = b'{"siteID": "site", "apiKey": "a-secret-key", "apiVersion": "v2"}'
AUTHORIZATION = "Basic c2l0ZTphLXNlY3JldC1rZXk="


class Told:
    """What was said of one item."""

    def __init__(self, status: int, detail: v1.EventDetail | None) -> None:
        self.status = status
        self.detail = detail or v1.EventDetail()

    @property
    def code(self) -> str:
        """Return the error's code; "" for none."""
        code = self.detail.error.code
        return v1.ErrorCode.Name(code).removeprefix("ERROR_CODE_") if code else ""

    @property
    def delivery(self) -> v1.DeliveryReport:
        """Return what Customer.io answered."""
        return self.detail.delivery

    @property
    def blocked_by(self) -> tuple[int, int] | None:
        """Return the batch and position of the earlier item that failed."""
        error = self.detail.error
        if not error.HasField("blocked_by"):
            return None
        return error.blocked_by.batch_id, error.blocked_by.position

    @property
    def warnings(self) -> list[str]:
        """Return the warnings' codes."""
        return [
            v1.WarningCode.Name(one.code).removeprefix("WARNING_CODE_")
            for one in self.detail.warnings
        ]

    @property
    def retry_after_s(self) -> float | None:
        """Return when it is worth another try, if that was said."""
        error = self.detail.error
        return (
            error.retry_after.ToTimedelta().total_seconds()
            if error.HasField("retry_after")
            else None
        )


class Caller:
    """One stream. Every wait is bounded, and an item that is answered twice fails the test."""

    def __init__(self, call: Stream) -> None:
        self.call = call
        self.messages: list[v1.Results] = []
        self.drained = asyncio.Event()
        self._told: dict[tuple[int, int], Told] = {}
        self._complete: set[int] = set()
        self._changed = asyncio.Condition()
        self._reading = asyncio.ensure_future(self._read())

    async def send(
        self,
        batch_id: int,
        *items: dict[str, Any] | v1.BatchItem,
        timeout_s: float | None = 15,
        number: int = 1,
    ) -> None:
        """Send a batch of events, or of items made by hand."""
        message = v1.TransformStreamRequest()
        message.batch.batch_id = batch_id
        message.batch.destination = number
        if timeout_s is not None:
            message.batch.timeout.FromMilliseconds(round(timeout_s * 1000))
        for one in items:
            found = one if isinstance(one, v1.BatchItem) else item(one)
            message.batch.items.append(found)
        await self.call.write(message)

    async def told(self, batch_id: int, position: int = 0) -> Told:
        """Wait for what is said of one item, and return it."""
        key = (batch_id, position)
        await self._wait_for(lambda: key in self._told)
        return self._told[key]

    async def told_all(self, batch_id: int) -> list[Told]:
        """Wait for what is said of a whole batch, and return it by position."""
        await self._wait_for(lambda: batch_id in self._complete)
        positions = sorted(position for one, position in self._told if one == batch_id)
        assert positions == list(range(len(positions)))
        return [self._told[batch_id, position] for position in positions]

    def knows(self, batch_id: int, position: int = 0) -> bool:
        """Return whether something was said of an item by now."""
        return (batch_id, position) in self._told

    async def finish(self) -> None:
        """Say that nothing more will come, and read to the end of the stream."""
        await self.call.write(v1.TransformStreamRequest(finish=v1.Finish()))
        async with asyncio.timeout(WITHIN_S):
            await self._reading

    async def ended(self) -> Any:
        """Return the status that the stream ends with."""
        async with asyncio.timeout(WITHIN_S):
            await asyncio.wait((self._reading,))
            return await self.call.code()

    async def vanish(self) -> None:
        """Cancel the stream, as a caller does that dies."""
        self.call.cancel()
        with suppress(asyncio.CancelledError, aio.AioRpcError):
            await self._reading

    async def _wait_for(self, condition: Any) -> None:
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: condition() or self._reading.done())
        if not condition():
            self._reading.result()
            raise AssertionError("the stream ended without an answer")

    async def _read(self) -> None:
        try:
            while (message := await self.call.read()) is not aio.EOF:
                assert isinstance(message, v1.TransformStreamResponse)
                if message.WhichOneof("message") == "drain":
                    self.drained.set()
                async with self._changed:
                    self._take(message.results)
                    self._changed.notify_all()
        finally:
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, self._wake())

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _take(self, results: v1.Results) -> None:
        if not results.batch_id:
            return
        self.messages.append(results)
        details = {one.position: one for one in results.details}
        first = results.first_position
        positions = results.positions or range(first, first + len(results.statuses))
        for position, status in zip(positions, results.statuses, strict=True):
            key = (results.batch_id, position)
            assert key not in self._told, f"{key} was answered twice"
            self._told[key] = Told(status, details.get(position))
        if results.batch_complete:
            assert results.batch_id not in self._complete
            self._complete.add(results.batch_id)


@asynccontextmanager
async def caller(
    stub: Stub,
    *configs: bytes,
    detail_level: v1.DetailLevel.ValueType = v1.DetailLevel.DETAIL_LEVEL_ALL,
    include_requests: bool = False,
    max_receive_bytes: int = 0,
) -> AsyncIterator[Caller]:
    """Yield a stream that delivers, with the destinations under 1, 2, …"""
    call, _ = await opened(
        stub,
        destinations=[
            v1.Destination(reference_id=number, config_json=config)
            for number, config in enumerate(configs or (CONFIG,), 1)
        ],
        delivery=v1.DeliveryOptions(detail_level=detail_level, include_requests=include_requests),
        max_receive_bytes=max_receive_bytes,
    )
    found = Caller(call)
    try:
        yield found
    finally:
        await found.vanish()


@asynccontextmanager
async def delivering(
    connect: Connect, customerio: FakeCustomerio, *configs: bytes, **settings: Any
) -> AsyncIterator[Caller]:
    """Yield a server that delivers to a scripted Customer.io, and a caller of it."""
    stub = await connect(customerio_url=customerio.url, **settings)
    async with caller(stub, *configs) as found:
        yield found


def item(event: dict[str, Any], **fields: Any) -> v1.BatchItem:
    """Return an event as an item, with more of the item's fields."""
    return v1.BatchItem(json=json.dumps(event).encode(), **fields)


def track(name: str, user: str | None = "u1", **fields: Any) -> dict[str, Any]:
    """Return a track event."""
    return {"type": "track", "userId": user, "event": name} | fields


def identify(user: str, **traits: Any) -> dict[str, Any]:
    """Return an identify event."""
    return {"type": "identify", "userId": user, "traits": traits}


def group(user: str, group_id: str) -> dict[str, Any]:
    """Return a group event."""
    return {"type": "group", "userId": user, "groupId": group_id, "traits": {"name": group_id}}


def put(url: str, body: bytes = b"{}", **fields: Any) -> v1.PreparedRequest:
    """Return a prepared request that identifies somebody."""
    return v1.PreparedRequest(
        **{
            "method": "PUT",
            "url": url,
            "endpoint_path": "v1/customers",
            "headers": {"Authorization": AUTHORIZATION, "Content-Type": "application/json"},
            "body": body,
        }
        | fields
    )
