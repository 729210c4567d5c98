"""One event through the transform, and what it comes to."""

import json
from collections.abc import Sequence
from typing import Any

from ciosidecar_transform import (
    AnyDestination,
    BatchTransform,
    Connection,
    Outcome,
    Request,
    RequestList,
    read_connection,
    read_destination,
    transform,
)

NOW = 1_800_000_000
TIME, TIME_S = "2024-01-02T03:04:05.678Z", 1704164645
Event = dict[str, Any] | bytes


def destination(**config: Any) -> AnyDestination:
    """Return a destination with the given settings beside good credentials."""
    settings = {"siteID": "site", "apiKey": "key"} | config
    usable, problems = read_destination(json.dumps(settings).encode())
    assert usable is not None, problems
    return usable


def fatal_keys(**config: Any) -> list[str]:
    """Return the keys that make a destination with these settings unusable, beside good credentials."""
    settings = {"siteID": "site", "apiKey": "key"} | config
    usable, problems = read_destination(json.dumps(settings).encode())
    keys = [problem.key for problem in problems if problem.fatal]
    assert (usable is None) == bool(keys)
    return keys


def as_json(event: Event) -> bytes:
    """Return the event in UTF-8, without escapes where that is possible."""
    if isinstance(event, bytes):
        return event
    try:
        return json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(event).encode()


def sent(
    event: Event,
    *,
    source_type: str = "",
    connection: dict[str, Any] | None = None,
    **config: Any,
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Return the outcome of an event, and its requests: method, url, path, body (None for none), raw.

    connection: the config of the connection that a record is of.
    """
    outcome, requests = transform(
        as_json(event),
        destination(**config),
        source_type=source_type,
        now=NOW,
        connection=_read(connection),
    )
    return outcome, [as_dict(request) for request in requests]


def _read(connection: dict[str, Any] | None) -> Connection | None:
    return None if connection is None else read_connection(json.dumps(connection).encode())


def as_dict(request: Request) -> dict[str, Any]:
    """Return a request with its template resolved. The body is read when asked for as JSON."""
    template = request.template
    return {
        "method": template.method,
        "url": template.base_url + request.path,
        "path": request.path,
        "endpoint_path": template.endpoint_path,
        "headers": template.headers,
        "raw": request.body,
        "body": _loaded(request.body) if request.body else None,
    }


def _loaded(body: bytes) -> Any:
    # Numbers of thousands of digits are no int in Python: as text they do as well.
    return json.loads(body, parse_int=lambda text: int(text) if len(text) < 4000 else text)


def codes(outcome: Outcome) -> list[str]:
    """Return the codes of the warnings, sorted."""
    return sorted(warning.code.value for warning in outcome.warnings)


def request_of(
    event: Event, *warnings: str, source_type: str = "", **config: Any
) -> dict[str, Any]:
    """Return the one request of a good event, which warns of exactly the given codes."""
    outcome, requests = sent(event, source_type=source_type, **config)
    assert outcome.status == 200, outcome.error
    assert codes(outcome) == sorted(warnings), codes(outcome)
    assert len(requests) == 1, requests
    return requests[0]


def body_of(event: Event, *warnings: str, **config: Any) -> Any:
    """Return the body of the one request of a good event."""
    return request_of(event, *warnings, **config)["body"]


def item_of(event: Event, *warnings: str, **config: Any) -> Any:
    """Return the one item of the batch that a group becomes."""
    (item,) = body_of(event, *warnings, **config)["batch"]
    return item


def refusal_of(event: Event, **config: Any) -> str:
    """Return the code with which an event is refused for good, without a request."""
    outcome, requests = sent(event, **config)
    assert outcome.error is not None, requests
    assert (outcome.status, requests) == (400, []), outcome.error
    return outcome.error.code.value


def of_type(kind: str, **members: object) -> dict[str, Any]:
    """Return an event of a type that has all it needs but a person; None takes a member away."""
    needed: dict[str, dict[str, object]] = {
        "track": {"event": "e"},
        "page": {"name": "e"},
        "screen": {"name": "e"},
        "alias": {"previousId": "old"},
        "group": {"groupId": "g"},
    }
    return {"type": kind} | needed.get(kind, {}) | members


def identify(**members: object) -> dict[str, Any]:
    """Return an identify of user u."""
    return {"type": "identify", "userId": "u"} | members


def attributes_of(event: Event, *warnings: str, **config: Any) -> Any:
    """Return what an identify sends, without a made-up created_at."""
    return body_of(event, *warnings, **{"createdAtFallback": "none"} | config)


def track(**members: object) -> dict[str, Any]:
    """Return a track of user u."""
    return {"type": "track", "event": "e", "userId": "u"} | members


def group(**members: object) -> dict[str, Any]:
    """Return a group g of user u."""
    return {"type": "group", "groupId": "g", "userId": "u"} | members


def row(action: object = "insert", **identifiers: object) -> dict[str, Any]:
    """Return a record with these columns."""
    return {"type": "record", "action": action, "identifiers": identifiers}


def row_in_v2(
    event: dict[str, Any], connection: dict[str, Any], *warnings: str, **config: Any
) -> dict[str, Any]:
    """Return what v2 says of a good row: its one item."""
    request = request_of(event, *warnings, connection=connection, apiVersion="v2", **config)
    (item,) = request["body"]["batch"]
    return item  # type: ignore[no-any-return]


def packed(
    events: Sequence[Event],
    *,
    alone: Sequence[int] = (),
    on: Sequence[AnyDestination] = (),
    connection: dict[str, Any] | None = None,
    **config: Any,
) -> list[tuple[dict[str, Any], list[int]]]:
    """Return the requests of a batch of good events, in order, each with the positions it covers.

    alone: the positions that share with nobody. on: each event's destination, where they differ.
    connection: the config of the connection that records are of.
    """
    writer = RequestList()
    batch = BatchTransform(NOW, writer)
    usual = destination(**config)
    row_of = _read(connection)
    for position, event in enumerate(events):
        outcome = batch.add(
            position,
            as_json(event),
            on[position] if on else usual,
            alone=position in alone,
            connection=row_of,
        )
        assert outcome.status == 200, outcome.error
    batch.flush()
    return [
        (as_dict(request), [covered] if isinstance(covered, int) else covered)
        for request, covered in writer.requests
    ]


def text_of_bytes(size: int, letter: str = "é") -> str:
    """Return a text of so many UTF-8 bytes, of the letter and, where it does not fit, an `a` in front."""
    return "a" * (size % len(letter.encode())) + letter * (size // len(letter.encode()))
