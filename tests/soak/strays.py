"""What calls and connects beside the streams: unary calls, broken streams, taps, peers that say half a sentence."""

import contextlib
import random
import socket
import threading
import urllib.request
from typing import Any

import grpc
from ciosidecar import v1

from tests.soak.callers import CONFIG_JSON, Tally

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_TIMEOUT_S = 20
_EVENT = b'{"type":"track","userId":"u%d","event":"E","properties":{"p":"%s"}}'


def strays(
    address: str,
    admin: str,
    dice: random.Random,
    ended: threading.Event,
    tally: Tally,
    pause_s: float,
) -> None:
    """Do one of it after another. pause_s: the time between two of them."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        doings = (
            lambda: _unary(stub.Transform, v1.TransformRequest),
            lambda: _unary(stub.Deliver, v1.DeliverRequest),
            lambda: _broken_stream(stub),
            lambda: _left_stream(stub),
            lambda: _tap(admin),
            lambda: _half_a_sentence(address, dice),
        )
        while not ended.is_set():
            try:
                dice.choice(doings)()
                tally.add(strays=1)
            except Exception as failure:  # noqa: BLE001 - each kind is told in the report
                tally.fault(f"stray: {type(failure).__name__}: {failure}")
            ended.wait(pause_s)


def _unary(call: Any, request: Any) -> None:
    events = [b"no JSON", *(_EVENT % (number, b"x" * 100) for number in range(20))]
    batch = v1.Batch(
        batch_id=1, destination=1, items=[v1.BatchItem(json=event) for event in events]
    )
    declared = v1.Destination(reference_id=1, config_json=CONFIG_JSON)
    results = call(request(destinations=[declared], batch=batch), timeout=_TIMEOUT_S).results
    assert list(results.statuses) == [400] + [200] * 20, results.statuses


def _broken_stream(stub: Any) -> None:
    """End a stream by a violation of the protocol."""
    opening = v1.TransformStreamRequest(open=v1.OpenStream())
    call = stub.TransformStream(iter((opening, opening)), timeout=_TIMEOUT_S)
    with contextlib.suppress(grpc.RpcError):
        for _ in call:
            pass
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT, call


def _left_stream(stub: Any) -> None:
    """Cancel a delivering stream with its events under way."""
    declared = v1.Destination(reference_id=1, config_json=CONFIG_JSON)
    opening = v1.OpenStream(destinations=[declared], delivery=v1.DeliveryOptions())
    items = [v1.BatchItem(json=_EVENT % (number, b"y" * 500)) for number in range(50)]
    batch = v1.Batch(batch_id=1, destination=1, items=items)
    messages = (
        v1.TransformStreamRequest(open=opening),
        v1.TransformStreamRequest(batch=batch),
    )
    call = stub.TransformStream(iter(messages), timeout=_TIMEOUT_S)
    next(call)
    call.cancel()


def _tap(admin: str) -> None:
    with urllib.request.urlopen(f"{admin}/api/tap", timeout=_TIMEOUT_S) as answer:
        assert answer.status == 200


def _half_a_sentence(address: str, dice: random.Random) -> None:
    host, _, port = address.rpartition(":")
    with (
        contextlib.suppress(ConnectionError),
        socket.create_connection((host, int(port)), _TIMEOUT_S) as peer,
    ):
        peer.sendall(dice.choice((b"", PREFACE[:7], PREFACE, b"GET / HTTP/1.1\r\n\r\n")))
