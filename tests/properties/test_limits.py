"""10.3: a request that several events share is as full as its limits allow, to the byte, and never fuller."""

from typing import Any

from ciosidecar_transform.requests import BatchTemplate
from hypothesis import example, given
from hypothesis import strategies as st

from .examples import examples
from .transformed import batched, destination_of, transformed

_CONFIG = b'{"siteID":"site","apiKey":"key","apiVersion":"v2","eventIds":"none"}'
_AUDIENCE = b'{"audienceId":23}'
_LARGEST_BYTES = 30_000


def _track(size: int) -> bytes:
    """Return an event whose item grows by a byte with each byte of its property."""
    return b'{"type":"track","userId":"u","event":"E","properties":{"a":"%b"}}' % (b"x" * size)


def _row(size: int) -> bytes:
    return b'{"type":"record","action":"insert","identifiers":{"id":"%b"}}' % (
        b"x" * (1 + size % 150)
    )


def _item_bytes(event: bytes, destination: Any, connection: bytes) -> int:
    """Return the size of an event's item: its own request without the envelope."""
    (request,) = transformed(event, destination, connection).requests
    template = request.template
    assert isinstance(template, BatchTemplate)
    return len(request.body) - len(template.opening) - len(b"]}")


def _check(events: list[bytes], connection: bytes) -> None:
    """Each request is within the limits, and the next item would not have been."""
    destination = destination_of(_CONFIG)
    assert destination is not None
    sizes = {event: _item_bytes(event, destination, connection) for event in set(events)}
    outcomes, requests = batched(events, [destination], connection)
    assert {outcome.status for outcome in outcomes} == {200}
    covered = [position for _, positions in requests for position in positions]
    assert covered == list(range(len(events)))
    for request, positions in requests:
        assert len(positions) <= 1000
        assert len(request.body) <= 500_000
        following = positions[-1] + 1
        if following < len(events):
            with_next = len(request.body) + 1 + sizes[events[following]]
            assert len(positions) == 1000 or with_next > 500_000


@examples(8)
@given(
    count=st.integers(990, 2100),
    make=st.sampled_from([(_track, b"{}"), (_row, _AUDIENCE)]),
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=5),
)
@example(count=1001, make=(_track, b"{}"), sizes=[0])
@example(count=2001, make=(_row, _AUDIENCE), sizes=[3])
def test_10_3_a_request_has_a_thousand_items_at_most(
    count: int, make: Any, sizes: list[int]
) -> None:
    """Small items, of a batch and of a segment: as many as the limit, and not one more."""
    written, connection = make
    _check([written(sizes[number % len(sizes)]) for number in range(count)], connection)


@examples(25)
@given(
    sizes=st.lists(st.integers(0, _LARGEST_BYTES), min_size=16, max_size=60),
    missing=st.sampled_from([-1, 0, 1, 2, 100]),
)
@example(sizes=[_LARGEST_BYTES] * 16, missing=0)
@example(sizes=[_LARGEST_BYTES] * 16, missing=-1)
def test_10_3_a_request_has_500_000_bytes_at_most(sizes: list[int], missing: int) -> None:
    """Large items, one of which fills the first request to the byte, or would be a byte too long."""
    destination = destination_of(_CONFIG)
    bare = _item_bytes(_track(0), destination, b"{}")
    left = 500_000 - len(b'{"batch":[]}')
    events = []
    for size in sizes:
        if left < 2 * (bare + _LARGEST_BYTES):
            break
        events.append(_track(size))
        left -= bare + size + 1
    # Two items end the first request: what is left between them is what is missing.
    half = left // 2
    if half - bare <= _LARGEST_BYTES:
        events += [_track(half - bare), _track(left - half - 1 - bare - missing)]
    _check([*events, *map(_track, sizes)], b"{}")
