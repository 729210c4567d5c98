"""The driver of the Python client. What a driver is: README.md."""

import base64
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from ciosidecar import (
    BatchEntry,
    CallFailed,
    Client,
    Closed,
    DeliveryOptions,
    DetailLevel,
    Result,
    SidecarError,
    Stream,
    StreamOptions,
    Tls,
    Unavailable,
    v1,
)
from google.protobuf import struct_pb2

_MILLISECONDS = {
    "linger_ms": "linger_s",
    "reconnect_for_ms": "reconnect_for_s",
    "timeout_ms": "timeout_s",
}
_DETAIL_LEVELS = {"NOTABLE": DetailLevel.NOTABLE, "ALL": DetailLevel.ALL}


class Input:
    """The lines of standard input after the first, read no further than they are taken."""

    events_read = 0
    refused: list[int] = []  # noqa: RUF012 - one driver plays one scenario


def main() -> None:
    """Plays one scenario."""
    sys.setrecursionlimit(20_000)  # an event may be nested deeply
    scenario = json.loads(sys.stdin.buffer.readline())
    end, message, reconnects = "OK", "", 0
    try:
        reconnects = CALLS[scenario["call"]](scenario)
    except CallFailed as failure:
        end, message = failure.code.name, failure.details
    except Unavailable as failure:
        end, message = "UNAVAILABLE", str(failure)
    except Closed as failure:
        end, message = "CANCELLED", str(failure)
    except SidecarError as failure:
        end, message = "INTERNAL", str(failure)
    except grpc.RpcError as failure:
        end, message = failure.code().name, failure.details() or ""
        failure.with_traceback(None)
    except (ValueError, TypeError) as failure:
        end, message = "REFUSED", str(failure)
    line = {
        "end": end,
        "message": message,
        "reconnects": reconnects,
        "events_read": Input.events_read,
        "refused": Input.refused,
    }
    write(line)


def client_of(scenario: dict[str, Any]) -> Client:
    """A client of the scenario's sidecars."""
    ca_file = scenario.get("ca_file")
    tls = Tls(root_certificates=Path(ca_file).read_bytes()) if ca_file else None
    return Client(scenario["addresses"], tls=tls)


def seconds(given: dict[str, Any]) -> dict[str, Any]:
    """Options as this client spells them."""
    return {
        _MILLISECONDS.get(name, name): value / 1000 if name in _MILLISECONDS else value
        for name, value in given.items()
    }


def how_to_deliver(told: dict[str, Any]) -> DeliveryOptions:
    """How events are delivered, as this client spells it."""
    options = seconds(told)
    if "detail_level" in options:
        options["detail_level"] = _DETAIL_LEVELS[options["detail_level"]]
    return DeliveryOptions(**options)


def bounds(scenario: dict[str, Any]) -> dict[str, Any]:
    """How long a call may take, if that is said."""
    return {"timeout_s": scenario["deadline_ms"] / 1000} if "deadline_ms" in scenario else {}


def entries(scenario: dict[str, Any]) -> Iterator[tuple[int, BatchEntry]]:
    """The events of the input as they are asked for, each with its index."""
    configs = [config.encode() for config in scenario["configs"]]
    typed = set(scenario.get("typed", ()))
    for index, line in enumerate(sys.stdin.buffer):
        Input.events_read += 1
        config, _, event = line.rstrip(b"\n").partition(b"\t")
        fields = dict(scenario.get("fields", {}).get(str(index), {}))
        if "tag" in fields:
            fields["tag"] = fields["tag"].encode()
        yield (
            index,
            BatchEntry(
                event=message_of(event) if index in typed else event,
                destination=configs[int(config)],
                fields=fields,
            ),
        )


def message_of(event: bytes) -> v1.RudderEvent:
    """The event built field by field."""
    told = json.loads(event)
    found = v1.RudderEvent(type=told["type"], user_id=told["userId"], event=told["event"])
    fill(found.properties.fields, told["properties"])
    return found


def fill(fields: struct_pb2.Struct, told: dict[str, Any]) -> None:
    """Puts JSON into a Struct, in place: protobuf copies nothing that is nested too deeply."""
    for name, value in told.items():
        fill_value(fields.fields[name], value)


def fill_value(value: struct_pb2.Value, told: Any) -> None:
    """Puts objects, lists and numbers into a Value."""
    if isinstance(told, dict):
        value.struct_value.SetInParent()
        fill(value.struct_value, told)
    elif isinstance(told, list):
        value.list_value.SetInParent()
        for one in told:
            fill_value(value.list_value.values.add(), one)
    else:
        value.number_value = told


def capabilities(scenario: dict[str, Any]) -> int:
    """One call without anything."""
    with client_of(scenario) as client:
        client.capabilities(**bounds(scenario))
    return 0


def check(scenario: dict[str, Any]) -> int:
    """One call, with the first config."""
    with client_of(scenario) as client:
        client.check(scenario["configs"][0].encode(), **bounds(scenario))
    return 0


def transform(scenario: dict[str, Any]) -> int:
    """One unary call."""
    with client_of(scenario) as client:
        results = client.transform(
            [entry for _, entry in entries(scenario)],
            scenario["configs"][0].encode(),
            **bounds(scenario),
        )
    for result in results:
        write(outcome(result))
    return 0


def stream(scenario: dict[str, Any]) -> int:
    """The client's own stream; a second thread feeds it."""
    options = StreamOptions(**seconds(scenario.get("options", {})), **bounds(scenario))
    deliver = scenario.get("deliver", False)
    with (
        client_of(scenario) as client,
        client.stream(
            options=options,
            deliver=how_to_deliver(deliver) if isinstance(deliver, dict) else deliver,
        ) as found,
    ):
        feeding = threading.Thread(target=feed, args=(found, scenario), daemon=True)
        feeding.start()
        for seen, answer in enumerate(found, 1):
            write(outcome(answer.result))
            if seen == scenario.get("cancel_after"):
                found.cancel()
            if seen == scenario.get("close_after"):
                client.close()
        feeding.join()
        return found.reconnects


def feed(found: Stream, scenario: dict[str, Any]) -> None:
    """Hands the input over as the stream takes it, until the stream is done for."""
    try:
        feed_all(found, scenario)
        found.finish()
    except SidecarError:
        return  # whoever iterates hears of it


def feed_all(found: Stream, scenario: dict[str, Any]) -> None:
    """Sends events one at a time, and those of batches together."""
    batches = {batch["first"]: batch for batch in scenario.get("batches", ())}
    events = entries(scenario)
    for index, entry in events:
        try:
            if batch := batches.get(index):
                together = [entry, *(next(events)[1] for _ in range(batch["count"] - 1))]
                timeout_ms = batch.get("timeout_ms")
                found.send_batch(
                    together, timeout_s=None if timeout_ms is None else timeout_ms / 1000
                )
            else:
                found.send(entry.event, destination=entry.destination, **entry.fields)
        except (ValueError, TypeError):
            Input.refused.append(index)


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
        "ok": result.ok,
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
            "type": error.type,
            "message": error.message,
            "retryable": error.retryable,
        }
        if error.retry_after_s is not None:
            found["error"]["retry_after_ms"] = round(error.retry_after_s * 1000)
        if error.blocked_by is not None:
            found["error"]["blocked_by"] = error.blocked_by
    if result.warnings:
        found["warnings"] = [{"code": one.code, "message": one.message} for one in result.warnings]
    if result.tag:
        found["tag"] = result.tag.decode()
    if result.filter_reason is not None:
        found["filter_reason"] = result.filter_reason
    if result.delivery is not None:
        delivery = result.delivery
        found["delivery"] = {
            "attempts": delivery.attempts,
            "http_status": delivery.http_status,
            "reason": delivery.reason,
            "field": delivery.field,
            "latency_ms": round(delivery.latency_s * 1000),
            "failed_items": [
                {"index": one.index, "reason": one.reason, "field": one.field}
                for one in delivery.failed_items
            ],
        }
    return found


CALLS = {
    "capabilities": capabilities,
    "check": check,
    "transform": transform,
    "stream": stream,
    "raw": raw,
}


def write(line: dict[str, Any]) -> None:
    """One line out, at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
