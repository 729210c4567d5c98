"""The driver of the Python client. What a driver is: README.md."""

import base64
import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from ciosidecar import (
    CallFailed,
    Client,
    Deliver,
    Result,
    SidecarError,
    Stream,
    StreamOptions,
    Tls,
    Unavailable,
    v1,
)

_MILLISECONDS = {"linger_ms": "linger_s", "reconnect_for_ms": "reconnect_for_s"}


class Input:
    """The lines of standard input after the first, read no further than they are taken."""

    events_read = 0


def main() -> None:
    """Plays one scenario."""
    scenario = json.loads(sys.stdin.buffer.readline())
    end, message, reconnects = "OK", "", 0
    try:
        reconnects = {"transform": transform, "stream": stream, "raw": raw}[scenario["call"]](
            scenario
        )
    except CallFailed as failure:
        end, message = failure.code.name, failure.details
    except Unavailable as failure:
        end, message = "UNAVAILABLE", str(failure)
    except grpc.RpcError as failure:
        end, message = failure.code().name, failure.details() or ""
        failure.with_traceback(None)
    line = {
        "end": end,
        "message": message,
        "reconnects": reconnects,
        "events_read": Input.events_read,
    }
    write(line)


def client_of(scenario: dict[str, Any]) -> Client:
    """A client of the scenario's sidecars."""
    ca_file = scenario.get("ca_file")
    tls = Tls(root_certificates=Path(ca_file).read_bytes()) if ca_file else None
    return Client(scenario["addresses"], tls=tls)


def events() -> Iterator[tuple[int, bytes]]:
    """The events of the input as they are asked for, each with the index of its config."""
    for line in sys.stdin.buffer:
        Input.events_read += 1
        index, _, event = line.rstrip(b"\n").partition(b"\t")
        yield int(index), event


def transform(scenario: dict[str, Any]) -> int:
    """One unary call, with the first config."""
    deadline_ms = scenario.get("deadline_ms")
    with client_of(scenario) as client:
        results = client.transform(
            [event for _, event in events()],
            scenario["configs"][0].encode(),
            timeout_s=None if deadline_ms is None else deadline_ms / 1000,
        )
    for result in results:
        write(outcome(result))
    return 0


def stream(scenario: dict[str, Any]) -> int:
    """The client's own stream; a second thread feeds it."""
    given = scenario.get("options", {})
    options: dict[str, Any] = {
        _MILLISECONDS.get(name, name): value / 1000 if name in _MILLISECONDS else value
        for name, value in given.items()
    }
    configs = [config.encode() for config in scenario["configs"]]
    cancel_after = scenario.get("cancel_after")
    with (
        client_of(scenario) as client,
        client.stream(
            options=StreamOptions(**options),
            deliver=Deliver() if scenario.get("deliver") else False,
        ) as found,
    ):
        feeding = threading.Thread(target=feed, args=(found, configs), daemon=True)
        feeding.start()
        for seen, answer in enumerate(found, 1):
            write(outcome(answer.result))
            if seen == cancel_after:
                raise CallFailed(grpc.StatusCode.CANCELLED, "by the driver")
        feeding.join()
        return found.reconnects


def feed(found: Stream, configs: list[bytes]) -> None:
    """Hands the input over as the stream takes it, until the stream is done for."""
    with contextlib.suppress(SidecarError, ValueError):
        for index, event in events():
            found.send(event, destination=configs[index])
        found.finish()


def raw(scenario: dict[str, Any]) -> int:
    """The stubs alone, on one stream."""
    requests = (
        v1.TransformStreamRequest.FromString(base64.b64decode(line)) for line in sys.stdin.buffer
    )
    with grpc.insecure_channel(scenario["addresses"][0]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        for response in stub.TransformStream(requests):
            write({"response": base64.b64encode(response.SerializeToString()).decode()})
    return 0


def outcome(result: Result) -> dict[str, Any]:
    """A result as every driver writes it."""
    found: dict[str, Any] = {
        "position": result.position,
        "status": result.status,
        "requests": [
            {
                "method": one.method,
                "url": one.url,
                "endpoint_path": one.endpoint_path,
                "headers": one.headers,
                "body": one.body.decode(),
                "positions": list(one.positions),
            }
            for one in result.requests
        ],
    }
    if result.error is not None:
        error = result.error
        found["error"] = {
            "code": error.code,
            "type": error.type.upper(),
            "message": error.message,
            "retryable": error.retryable,
        }
    if result.warnings:
        found["warnings"] = [one.code for one in result.warnings]
    if result.filter_reason is not None:
        found["filter_reason"] = result.filter_reason
    if result.delivery is not None:
        delivery = result.delivery
        found["delivery"] = {
            "attempts": delivery.attempts,
            "http_status": delivery.http_status,
            "reason": delivery.reason,
        }
    return found


def write(line: dict[str, Any]) -> None:
    """One line out, at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
