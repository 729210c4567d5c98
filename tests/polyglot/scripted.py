"""A sidecar of the suite's own: it does what a scenario's `script` says, and records what it sees."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from ciosidecar import v1
from google.protobuf import json_format

from tests.client.scripted import Connection, ScriptedSidecar, serving

QUIET_S = 1.0
"""A caller that sends nothing for so long has reached its limit of outstanding events."""


class RecordingSidecar(ScriptedSidecar):
    """Plays a script on each stream; records calls, openings and batches."""

    def __init__(self, script: dict[str, Any]) -> None:
        super().__init__(self._play_script)
        self._script = script
        self.recorded: dict[str, Any] = {
            "timeouts_s": {},
            "attempts": {},
            "opened": [],
            "batches": [],
            "delivery": None,
        }

    def GetCapabilities(self, request: Any, context: Any) -> v1.GetCapabilitiesResponse:  # noqa: N802
        self.recorded["timeouts_s"]["capabilities"] = context.time_remaining()
        return super().GetCapabilities(request, context)

    def CheckDestination(self, request: Any, context: Any) -> v1.CheckDestinationResponse:  # noqa: N802
        self.recorded["timeouts_s"]["check"] = context.time_remaining()
        return super().CheckDestination(request, context)

    def Transform(self, request: v1.TransformRequest, context: Any) -> v1.TransformResponse:  # noqa: N802
        return v1.TransformResponse(results=self._unary("transform", request.batch, context))

    def Deliver(self, request: v1.DeliverRequest, context: Any) -> v1.DeliverResponse:  # noqa: N802
        self.recorded["delivery"] = json_format.MessageToDict(request.delivery)
        return v1.DeliverResponse(results=self._unary("deliver", request.batch, context))

    def _unary(self, call: str, batch: v1.Batch, context: Any) -> v1.Results:
        self.recorded["timeouts_s"][call] = context.time_remaining()
        self.recorded["attempts"][call] = self.recorded["attempts"].get(call, 0) + 1
        if self._script["kind"] == "unavailable":
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        return v1.Results(statuses=[200] * len(batch.items), batch_complete=True)

    def _play_script(self, connection: Connection) -> None:
        kind = self._script["kind"]
        connection.open()
        assert connection.opening is not None
        self.recorded["opened"].append(json_format.MessageToDict(connection.opening))
        if kind == "answer":
            self._answer_with(connection, self._script.get("results"))
        elif kind == "backwards":
            batches = [self._next(connection) for _ in range(self._script["batches"])]
            for batch in reversed(batches):
                if batch is not None:
                    connection.answer(batch)
            self._answer_with(connection, None)
        elif kind == "silent":
            self._listen(connection)
        else:
            raise ValueError(f"no such script: {kind}")

    def _next(self, connection: Connection) -> v1.Batch | None:
        batch = connection.batch()
        if batch is not None:
            self.recorded["batches"].append(
                {
                    "events": len(batch.items),
                    "bytes": sum(len(item.json) for item in batch.items),
                    "timeout_ms": batch.timeout.ToMilliseconds()
                    if batch.HasField("timeout")
                    else None,
                    "items": [_said(item) for item in batch.items],
                }
            )
        return batch

    def _answer_with(self, connection: Connection, results: dict[str, Any] | None) -> None:
        """Answers the first batch with these results, if there are any, and all others with 200."""
        while (batch := self._next(connection)) is not None:
            if results is None:
                connection.answer(batch)
                continue
            response = v1.TransformStreamResponse()
            json_format.ParseDict(results, response.results)
            response.results.batch_id = batch.batch_id
            response.results.batch_complete = True
            for detail in response.results.details:
                if detail.error.HasField("blocked_by"):
                    detail.error.blocked_by.batch_id = batch.batch_id
            connection.answers.put(response)
            results = None

    def _listen(self, connection: Connection) -> None:
        """Answers nothing, and ends the stream once the caller sends no more."""
        heard = threading.Event()

        def listen() -> None:
            while self._next(connection) is not None:
                heard.set()

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        heard.wait()
        while heard.wait(QUIET_S):
            heard.clear()
        connection.fail(grpc.StatusCode.INVALID_ARGUMENT, "enough")


def _said(item: v1.BatchItem) -> dict[str, Any]:
    """What an item says beside its event and where it goes."""
    found: dict[str, Any] = json_format.MessageToDict(item)
    for name in ("json", "event", "prepared", "destination", "connection"):
        found.pop(name, None)
    return found


@contextmanager
def recording(script: dict[str, Any]) -> Iterator[tuple[str, RecordingSidecar]]:
    """Yield the address of a recording sidecar, and the sidecar."""
    servicer = RecordingSidecar(script)
    with serving(servicer) as address:
        yield address, servicer
