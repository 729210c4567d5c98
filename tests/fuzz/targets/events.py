"""Events, configs and connections through the transform: what must be true of any bytes."""

import re
from functools import cache

from ciosidecar_sandbox import api_v1, calls
from ciosidecar_sandbox.faults import Faults
from ciosidecar_sandbox.identifiers import Identifier
from ciosidecar_sandbox.workspace import Workspace
from ciosidecar_transform import ErrorCode, Request, read_connection
from ciosidecar_transform.requests import BatchTemplate
from ciosidecar_transform.settings.dynamic import AnyDestination

from tests.properties.relationships import all_are_readable
from tests.properties.transformed import (
    NOW,
    Result,
    batched,
    destination_of,
    strict_json,
    transformed,
    wire,
)

_CREDENTIALS = b'"siteID":"site","apiKey":"key"'
CONFIGS = (
    b"{%b}",
    b'{%b,"apiVersion":"v1"}',
    b'{%b,"apiVersion":"v1","semanticEvents":true,"convertDates":true,"emptyStrings":"drop"}',
    b'{%b,"apiVersion":"v2","semanticEvents":true,"groupRelationships":"full","updateOnly":true}',
    b'{%b,"apiVersion":"v2","phoneAsIdentifier":true,"reservedProperties":"prefix","eventIds":"ulid"}',
    b'{%b,"apiVersion":"v2","userIdIdentifierType":"{{ context.kind || id }}"}',
    b'{%b,"apiVersion":"v2","deviceTokenEventName":"Token","profiles":"identified"}',
    b'{%b,"identifyFallback":"{{ traits.id || \'email\' }}","createdAtFallback":"none"}',
)
"""The configs that the first byte of an input of `event` chooses from."""
CONNECTIONS = (
    b'{"object":"person"}',
    b'{"object":"event"}',
    b'{"audienceId":23,"identifierMappings":[{"to":"email"}]}',
    b"{}",
)
"""The connections that the second byte chooses from."""
EVENTS = (
    b'{"type":"identify","userId":"u-1","traits":{"email":"jane@example.com","plan":1.0,"id":"u-1"}}',
    b'{"type":"track","userId":"u-1","event":"Application Opened","context":{"device":{"token":"t","type":"ios"}}}',
    b'{"type":"page","anonymousId":"a-1","name":"Home","properties":{"url":"https://example.com"}}',
    b'{"type":"screen","userId":"jane@example.com","event":"Main"}',
    b'{"type":"alias","userId":"u-2","previousId":"u-1"}',
    b'{"type":"group","userId":"u-1","groupId":"acme","traits":{"objectTypeId":"1","name":"Acme"}}',
    b'{"type":"record","action":"insert","identifiers":{"id":"u-1","email":"a@b.co","name":"Paid"}}',
)
"""What destinations and connections that an input declares are tried with."""

# Rule 1.3 passes on a number that no double holds, and Customer.io refuses it.
_VAST_NUMBER = re.compile(rb"[0-9]{300}|[eE][+]?[0-9]{3}")
_NO_FAULT = Faults()


@cache
def _destination(number: int) -> AnyDestination:
    destination = destination_of(CONFIGS[number].replace(b"%b", _CREDENTIALS))
    assert destination is not None
    return destination


def try_event(data: bytes) -> None:
    """Transform an event. The first two bytes choose the config and the connection."""
    if len(data) < 2:
        return
    destination = _destination(data[0] % len(CONFIGS))
    connection = CONNECTIONS[data[1] % len(CONNECTIONS)]
    event = data[2:]
    result = _checked(event, destination, connection)
    again = transformed(event, destination, connection)
    assert again.outcome == result.outcome
    assert list(map(wire, again.requests)) == list(map(wire, result.requests))
    _check_batch(event, destination, connection, result)
    if _VAST_NUMBER.search(event) is None and all_are_readable(event):
        for request in result.requests:
            _check_with_sandbox(request)


def try_config(data: bytes) -> None:
    """Read a config, and transform an event of each type for its destination."""
    destination, again = destination_of(data), destination_of(data)
    assert (destination is None) == (again is None)
    if destination is not None:
        for event in EVENTS:
            _checked(event, destination, CONNECTIONS[0])


def try_connection(data: bytes) -> None:
    """Read the config of a connection, and transform rows for it."""
    assert read_connection(data) == read_connection(data)
    for number in range(2):
        _checked(EVENTS[-1], _destination(number), data)


def _checked(event: bytes, destination: AnyDestination, connection: bytes) -> Result:
    """Return what an event becomes: one result, no INTERNAL, strict JSON, a path that can be sent."""
    result = transformed(event, destination, connection)
    outcome = result.outcome
    found = (
        outcome.status == 200 and bool(result.requests),
        outcome.status == 298 and outcome.filtered is not None,
        outcome.status in (400, 503) and outcome.error is not None,
    )
    others = bool(result.requests) + (outcome.filtered is not None) + (outcome.error is not None)
    assert sum(found) == others == 1, outcome
    assert outcome.error is None or outcome.error.code is not ErrorCode.INTERNAL
    for request in result.requests:
        if request.body:
            strict_json(request.body)
        assert re.fullmatch(r"/api/v[12]/[!-~]*", request.path), request.path
        if isinstance(request.template, BatchTemplate):
            assert len(request.body) <= request.template.max_bytes
    return result


def _check_batch(
    event: bytes, destination: AnyDestination, connection: bytes, result: Result
) -> None:
    """Between two other events, an event's outcome is the same, and each event has its requests."""
    events = [EVENTS[0], event, EVENTS[1]]
    outcomes, requests = batched(events, [destination], connection)
    assert outcomes[1] == result.outcome
    covered = [position for _, positions in requests for position in positions]
    assert covered.count(1) == len(result.requests)
    assert all(len(set(positions)) == len(positions) for _, positions in requests)


def _check_with_sandbox(request: Request) -> None:
    """The sandbox accepts a request on its own."""
    workspace = Workspace()
    workspace.clock = lambda: float(NOW)
    for name, email in (("u-1", "jane@example.com"), ("u-2", "joe@example.com")):
        workspace.people.create(NOW - 1000, Identifier("id", name), Identifier("email", email))
    path, _, query = request.path.partition("?")
    call = calls.Request(
        workspace, float(NOW), request.template.method, path.encode(), query.encode()
    )
    call.body = request.body
    endpoints = {"POST": calls.V2} if path == "/api/v2/batch" else api_v1.route(path.encode()) or {}
    answer = calls.run(call, endpoints[request.template.method], _NO_FAULT.inject())
    refused = [(row.status, row.reason) for row in workspace.log.rows if row.status != 200]
    assert answer.status == 200, (answer, request.path, request.body)
    assert not refused, (refused, request.path, request.body)
