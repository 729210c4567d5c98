"""What a server's log says of streams: one line when one opens, one when it closes."""

import json
import re
import signal
from typing import Any

import grpc
from ciosidecar import v1

from tests.conftest import batch, destination
from tests.processes import Server, server

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'


def logged(running: Server) -> list[dict[str, Any]]:
    """The lines about streams, once the server has ended."""
    running.signal(signal.SIGTERM)
    code, errors = running.end()
    assert code == 0
    lines = map(json.loads, errors.splitlines())
    return [line for line in lines if line["message"].startswith("stream ")]


def one_stream(
    address: str, opening: v1.OpenStream, *messages: v1.TransformStreamRequest
) -> tuple[str, str]:
    """Sends messages on one stream; the session's id, and the status that it ended with."""
    session_id = ""
    with grpc.insecure_channel(address) as channel:
        requests = iter([v1.TransformStreamRequest(open=opening), *messages])
        stub: v1.SidecarServiceStub = v1.SidecarServiceStub(channel)
        try:
            for response in stub.TransformStream(requests, timeout=60):
                session_id = response.opened.session_id or session_id
        except grpc.RpcError as failure:
            return session_id, failure.code().name
    return session_id, "OK"


def test_a_stream_is_logged_when_it_opens_and_closes() -> None:
    """With the session's id, the caller's name and release, the peer, counts and the reason."""
    opening = v1.OpenStream(
        client_name="router", client_version="7.1", destinations=[destination()]
    )
    batches = [
        v1.TransformStreamRequest(batch=batch(TRACK, b"{", batch_id=1)),
        v1.TransformStreamRequest(batch=batch(TRACK, batch_id=2)),
        v1.TransformStreamRequest(finish=v1.Finish()),
    ]
    with server("--listen", "127.0.0.1:0", "--log-level", "info") as running:
        session_id, status = one_stream(running.addresses[0], opening, *batches)
        opened, closed = logged(running)
    assert status == "OK"
    for line in (opened, closed):
        assert re.fullmatch(r"ipv4:127\.0\.0\.1[:%][0-9A]+", line.pop("peer"))
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert 0 <= closed.pop("duration_s") < 20
    common = {
        "level": "info",
        "logger": "ciosidecar",
        "session_id": session_id,
        "client_name": "router",
        "client_version": "7.1",
        "delivery": False,
    }
    assert opened == common | {
        "message": "stream opened",
        "destinations": 1,
        "connections": 0,
        "destination_ref": "none",
    }
    assert closed == common | {
        "message": "stream closed",
        "batches": 2,
        "items": 3,
        "results": 3,
        "reason": "finished",
    }


def test_a_callers_name_forges_no_line() -> None:
    """It is cut and escaped."""
    forged = "x\n2026-01-01 INFO stream forged\x1b[31m é" + "y" * 10_000
    with server("--listen", "127.0.0.1:0", "--log-level", "info") as running:
        one_stream(running.addresses[0], v1.OpenStream(client_name=forged))
        opened, closed = logged(running)
    for line in (opened, closed):
        name = line["client_name"]
        assert name.startswith(r"x\n2026-01-01 INFO stream forged\x1b[31m \xe9yyy")
        assert len(name) < 100
    assert closed["reason"] == "closed without Finish"


def test_the_reason_of_a_broken_protocol() -> None:
    """The field and what is wrong with it."""
    wrong = v1.TransformStreamRequest(open=v1.OpenStream())
    with server("--listen", "127.0.0.1:0", "--log-level", "info") as running:
        _, status = one_stream(running.addresses[0], v1.OpenStream(), wrong)
        _, closed = logged(running)
    assert status == "INVALID_ARGUMENT"
    assert closed["reason"] == "open: the stream is open already"


def test_nothing_is_logged_at_the_level_of_warnings() -> None:
    """A stream is no reason to worry."""
    with server("--listen", "127.0.0.1:0", "--log-level", "warning") as running:
        one_stream(running.addresses[0], v1.OpenStream())
        assert logged(running) == []
