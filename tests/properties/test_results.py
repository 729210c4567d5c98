"""Whatever an event and a config are: one result, never INTERNAL, strict JSON, the same bytes again."""

import pytest
from ciosidecar_transform import ErrorCode
from hypothesis import given
from hypothesis import strategies as st

from .examples import examples
from .settings import ANY_CONFIGS, CONNECTIONS, SOURCE_TYPES
from .strategies import EVENTS
from .transformed import Result, destination_of, strict_json, transformed, wire

ANY_EVENTS = st.one_of(EVENTS, EVENTS, EVENTS, EVENTS, st.binary(max_size=20))


def _is_a_result(result: Result) -> bool:
    """Whether exactly one of the three is true: requests, a filter's reason, an error."""
    outcome = result.outcome
    found = (
        outcome.status == 200 and bool(result.requests),
        outcome.status == 298 and outcome.filtered is not None,
        outcome.status in (400, 503) and outcome.error is not None,
    )
    others = bool(result.requests) + (outcome.filtered is not None) + (outcome.error is not None)
    return sum(found) == others == 1


@examples(250)
@given(event=ANY_EVENTS, config=ANY_CONFIGS, connection=CONNECTIONS, source_type=SOURCE_TYPES)
def test_1_4_every_event_has_one_result_and_no_event_meets_a_fault(
    event: bytes, config: bytes, connection: bytes, source_type: str
) -> None:
    """12.1: never INTERNAL. A request's body is strict JSON, and its path is ASCII without blanks."""
    destination = destination_of(config)
    if destination is None:
        return
    result = transformed(event, destination, connection, source_type)
    assert _is_a_result(result), result
    error = result.outcome.error
    assert error is None or error.code is not ErrorCode.INTERNAL
    for request in result.requests:
        if request.body:
            strict_json(request.body)
        assert request.path.isascii()
        assert request.path.isprintable()
        assert " " not in request.path


# At 2,000 calls Python stops (event.py). Decoding needs some of them, and so does each rule afterwards.
_DEPTHS = range(1_700, 2_010)


@pytest.mark.parametrize("level", ["[]", '{"a":}'])
@pytest.mark.parametrize("kind", ["identify", "track", "group"])
def test_1_1_no_depth_of_nesting_is_a_fault(kind: str, level: str) -> None:
    """Where the decoder just manages and a rule does not, too: a result, and never INTERNAL."""
    template = '{"type":"%s","userId":"u","event":"E","groupId":"g","traits":{"a":%s},"properties":{"a":%s}}'
    destination = destination_of(
        b'{"siteID":"s","apiKey":"k","apiVersion":"{{ properties.b || v2 }}"}'
    )
    assert destination is not None
    codes = set()
    for depth in _DEPTHS:
        value = level[:-1] * depth + ("" if level == "[]" else "1") + level[-1] * depth
        event = (template % (kind, value, value)).encode()
        error = transformed(event, destination, None).outcome.error
        codes.add(None if error is None else error.code)
    assert codes <= {None, ErrorCode.INVALID_JSON}


@examples(120)
@given(event=EVENTS, config=ANY_CONFIGS, connection=CONNECTIONS)
def test_a_second_run_gives_the_same_bytes(event: bytes, config: bytes, connection: bytes) -> None:
    """The transform has no state: the same event for the same config, read anew, is the same request."""
    first, second = destination_of(config), destination_of(config)
    if first is None or second is None:
        assert first is second
        return
    one, two = (transformed(event, found, connection) for found in (first, second))
    assert one.outcome == two.outcome
    assert [wire(request) for request in one.requests] == [
        wire(request) for request in two.requests
    ]
