"""The driver of the Python client. What a driver is: README.md."""

import base64
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from ciosidecar import (
    Affinity,
    BatchEntry,
    CallFailed,
    Client,
    Closed,
    DeliveryOptions,
    Destination,
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
_CHUNK_BYTES = 65_536
_DETAIL_LEVELS = {"NOTABLE": DetailLevel.NOTABLE, "ALL": DetailLevel.ALL}


class Input:
    """The lines of standard input after the first, read no further than they are taken."""

    events_read = 0
    refused: list[int] = []  # noqa: RUF012 - one driver plays one scenario

    @staticmethod
    def lines() -> Iterator[bytes]:
        """Yield the lines of standard input, without their ends.

        The interpreter aborts if a thread waits inside of sys.stdin when the main thread ends.
        """
        rest = b""
        while chunk := os.read(0, _CHUNK_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest


LINES = Input.lines()


def main() -> None:
    """Play one scenario."""
    sys.setrecursionlimit(20_000)  # an event may be nested deeply
    scenario = json.loads(next(LINES))
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
    """Return a client of the scenario's sidecars."""
    tls = None
    if "ca_file" in scenario:
        tls = Tls.from_files(
            scenario["ca_file"], scenario.get("key_file"), scenario.get("certificate_file")
        )
    options = {}
    if "connect_timeout_ms" in scenario:
        options["connect_timeout_s"] = scenario["connect_timeout_ms"] / 1000
    return Client(scenario["addresses"], tls=tls, token=scenario.get("token"), **options)


def seconds(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with this client's names and units."""
    return {
        _MILLISECONDS.get(name, name): value / 1000 if name in _MILLISECONDS else value
        for name, value in options.items()
    }


def delivery_options(scenario: dict[str, Any]) -> DeliveryOptions | None:
    """Return the options of the delivery, or None if the scenario has none."""
    deliver = scenario.get("deliver", False)
    if isinstance(deliver, bool):
        return DeliveryOptions.of(deliver)
    options = seconds(deliver)
    if "detail_level" in options:
        options["detail_level"] = _DETAIL_LEVELS[options["detail_level"]]
    return DeliveryOptions(**options)


def bounds(scenario: dict[str, Any]) -> dict[str, Any]:
    """Return the time limit of a call, if the scenario has one."""
    return {"timeout_s": scenario["deadline_ms"] / 1000} if "deadline_ms" in scenario else {}


def entries(scenario: dict[str, Any]) -> Iterator[tuple[int, BatchEntry]]:
    """Yield the events of the input, each with its index."""
    destinations: list[Any] = [config.encode() for config in scenario["configs"]]
    destinations += [Destination.by_ref(ref) for ref in scenario.get("refs", ())]
    typed = set(scenario.get("typed", ()))
    for index, line in enumerate(LINES):
        Input.events_read += 1
        config, _, event = line.partition(b"\t")
        fields = dict(scenario.get("fields", {}).get(str(index), {}))
        if "tag" in fields:
            fields["tag"] = fields["tag"].encode()
        yield (
            index,
            BatchEntry(
                event=message_of(event) if index in typed else event,
                destination=destinations[int(config)],
                fields=fields,
            ),
        )


def message_of(event: bytes) -> v1.RudderEvent:
    """Return the event, built field by field."""
    fields = json.loads(event)
    message = v1.RudderEvent(type=fields["type"], user_id=fields["userId"], event=fields["event"])
    fill(message.properties.fields, fields["properties"])
    return message


def fill(struct: struct_pb2.Struct, properties: dict[str, Any]) -> None:
    """Put JSON into a Struct, in place: protobuf copies nothing that is nested too deeply."""
    for name, value in properties.items():
        fill_value(struct.fields[name], value)


def fill_value(message: struct_pb2.Value, value: Any) -> None:
    """Put an object, a list or a number into a Value."""
    if isinstance(value, dict):
        message.struct_value.SetInParent()
        fill(message.struct_value, value)
    elif isinstance(value, list):
        message.list_value.SetInParent()
        for element in value:
            fill_value(message.list_value.values.add(), element)
    else:
        message.number_value = value


def capabilities(scenario: dict[str, Any]) -> int:
    """Make one call without arguments."""
    with client_of(scenario) as client:
        client.capabilities(**bounds(scenario))
    return 0


def check(scenario: dict[str, Any]) -> int:
    """Make one call with the first config."""
    with client_of(scenario) as client:
        client.check(scenario["configs"][0].encode(), **bounds(scenario))
    return 0


def transform(scenario: dict[str, Any]) -> int:
    """Transform all events in one call."""
    with client_of(scenario) as client:
        results = client.transform(
            [entry for _, entry in entries(scenario)],
            scenario["configs"][0].encode(),
            **bounds(scenario),
        )
    for result in results:
        write(outcome(result))
    return 0


def deliver(scenario: dict[str, Any]) -> int:
    """Deliver all events in one call."""
    with client_of(scenario) as client:
        results = client.deliver(
            [entry for _, entry in entries(scenario)],
            options=delivery_options(scenario),
            **bounds(scenario),
        )
    for result in results:
        write(outcome(result))
    return 0


def stream(scenario: dict[str, Any]) -> int:
    """Send all events on a stream, from a second thread."""
    chosen = seconds(scenario.get("options", {}))
    if "affinity" in chosen:
        chosen["affinity"] = Affinity(chosen["affinity"])
    options = StreamOptions(**chosen, **bounds(scenario))
    with (
        client_of(scenario) as client,
        client.stream(options=options, deliver=delivery_options(scenario) or False) as open_stream,
    ):
        feeding = threading.Thread(target=feed, args=(open_stream, scenario), daemon=True)
        feeding.start()
        for count, answer in enumerate(open_stream, 1):
            write(outcome(answer.result))
            if count == scenario.get("cancel_after"):
                open_stream.cancel()
            if count == scenario.get("close_after"):
                client.close()
        feeding.join()
        return open_stream.reconnects


def feed(open_stream: Stream, scenario: dict[str, Any]) -> None:
    """Send the input as the stream accepts it, until the stream fails."""
    try:
        feed_all(open_stream, scenario)
        open_stream.finish()
    except SidecarError:
        return  # the iterating thread raises it too


def feed_all(open_stream: Stream, scenario: dict[str, Any]) -> None:
    """Send events one at a time, and those of batches together."""
    batches = {batch["first"]: batch for batch in scenario.get("batches", ())}
    events = entries(scenario)
    for index, entry in events:
        try:
            if batch := batches.get(index):
                together = [entry, *(next(events)[1] for _ in range(batch["count"] - 1))]
                timeout_ms = batch.get("timeout_ms")
                open_stream.send_batch(
                    together, timeout_s=None if timeout_ms is None else timeout_ms / 1000
                )
            else:
                open_stream.send(entry.event, destination=entry.destination, **entry.fields)
        except (ValueError, TypeError):
            Input.refused.append(index)


def raw(scenario: dict[str, Any]) -> int:
    """Play a stream with the stubs alone."""
    requests = (v1.TransformStreamRequest.FromString(base64.b64decode(line)) for line in LINES)
    with grpc.insecure_channel(scenario["addresses"][0]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        for response in stub.TransformStream(requests):
            write({"response": base64.b64encode(response.SerializeToString()).decode()})
    return 0


def outcome(result: Result) -> dict[str, Any]:
    """Return a result as every driver writes it."""
    line: dict[str, Any] = {
        "position": result.position,
        "status": result.status,
        "ok": result.ok,
        "requests": [
            {
                "method": request.method,
                "url": request.url,
                "endpoint_path": request.endpoint_path,
                "headers": request.headers,
                "body": request.body.decode(),
                "positions": list(request.positions),
            }
            for request in result.requests
        ],
    }
    if result.error is not None:
        error = result.error
        line["error"] = {
            "code": error.code,
            "type": error.type,
            "message": error.message,
            "retryable": error.retryable,
        }
        if error.retry_after_s is not None:
            line["error"]["retry_after_ms"] = round(error.retry_after_s * 1000)
        if error.blocked_by is not None:
            line["error"]["blocked_by"] = error.blocked_by
    if result.warnings:
        line["warnings"] = [
            {"code": warning.code, "message": warning.message} for warning in result.warnings
        ]
    if result.tag:
        line["tag"] = result.tag.decode()
    if result.filter_reason is not None:
        line["filter_reason"] = result.filter_reason
    if result.delivery is not None:
        delivery = result.delivery
        line["delivery"] = {
            "attempts": delivery.attempts,
            "http_status": delivery.http_status,
            "reason": delivery.reason,
            "field": delivery.field,
            "latency_ms": round(delivery.latency_s * 1000),
            "failed_items": [
                {"index": item.index, "reason": item.reason, "field": item.field}
                for item in delivery.failed_items
            ],
        }
    return line


CALLS = {
    "capabilities": capabilities,
    "check": check,
    "transform": transform,
    "deliver": deliver,
    "stream": stream,
    "raw": raw,
}


def write(line: dict[str, Any]) -> None:
    """Write one line at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
