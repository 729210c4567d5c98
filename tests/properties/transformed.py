"""Events through the transform, and what their requests say."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ciosidecar_transform import (
    BatchTransform,
    Outcome,
    Request,
    RequestList,
    read_connection,
    read_destination,
    transform,
)
from ciosidecar_transform.settings.dynamic import AnyDestination

NOW = 1_800_000_000


class Result(NamedTuple):
    """The outcome of an event, and its requests."""

    outcome: Outcome
    requests: list[Request]


def destination_of(config: bytes) -> AnyDestination | None:
    """Return the destination of a config, None if it is unusable."""
    destination, problems = read_destination(config)
    assert (destination is None) == any(problem.fatal for problem in problems)
    return destination


def transformed(
    event: bytes, destination: AnyDestination, connection: bytes | None, source_type: str = ""
) -> Result:
    """Return what one event becomes."""
    row_of = None if connection is None else read_connection(connection)
    outcome, requests = transform(
        event, destination, source_type=source_type, now=NOW, connection=row_of
    )
    return Result(outcome, requests)


def wire(request: Request) -> tuple[str, str, str, tuple[tuple[str, str], ...], bytes]:
    """Return everything that is sent of a request."""
    template = request.template
    headers = tuple(sorted(template.headers.items()))
    return (
        template.method,
        template.base_url + request.path,
        template.endpoint_path,
        headers,
        request.body,
    )


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


class Number(str):
    """The digits of a number, as sent."""

    __slots__ = ()


def strict_json(body: bytes) -> Any:
    """Return the value of strict JSON. Objects are tuples of pairs, numbers are their digits."""
    return json.loads(
        body.decode(),
        parse_constant=_no_constant,
        parse_int=Number,
        parse_float=Number,
        object_pairs_hook=tuple,
    )


def batched(
    events: Sequence[bytes],
    destinations: Sequence[AnyDestination],
    connection: bytes | None,
    alone: Sequence[bool] = (),
) -> tuple[list[Outcome], list[tuple[Request, list[int]]]]:
    """Return the outcomes of a batch, and its requests with the positions they cover."""
    writer = RequestList()
    batch = BatchTransform(NOW, writer)
    row_of = None if connection is None else read_connection(connection)
    outcomes = [
        batch.add(
            position,
            event,
            destinations[position % len(destinations)],
            alone=bool(alone) and alone[position],
            connection=row_of,
        )
        for position, event in enumerate(events)
    ]
    batch.flush()
    return outcomes, [
        (request, [covered] if isinstance(covered, int) else covered)
        for request, covered in writer.requests
    ]
