"""Destinations can be pickled: engines of large backfills send them to their workers."""

import pickle

import pytest
from ciosidecar_transform import Outcome, Request, read_destination, transform
from ciosidecar_transform.settings.dynamic import DynamicDestination

EVENT = (
    b'{"type":"identify","userId":"u1","anonymousId":"a1","messageId":"m1","traits":{"born":"2001-02-03","x":""},'
    b'"context":{"site":"s2","consentManagement":{"deniedConsentIds":["b"]}},"timestamp":"2026-01-02T03:04:05Z"}'
)
CREDENTIALS = b'"siteID":"site","apiKey":"key"'


@pytest.mark.parametrize(
    "config",
    [
        b"{%b}" % CREDENTIALS,
        b'{%b,"apiVersion":"v2","userIdIdentifierType":"id","semanticEvents":true}' % CREDENTIALS,
        b'{%b,"convertDates":true,"emptyStrings":"drop","reservedProperties":"prefix"}'
        % CREDENTIALS,
        b'{%b,"connectionMode":{"web":"device"},"consentManagement":[{"provider":"custom",'
        b'"consents":[{"consent":"a"}]}]}' % CREDENTIALS,
        b'{"siteID":"{{ context.site || s1 }}","apiKey":"k","apiVersion":"{{ context.version || v1 }}"}',
    ],
)
def test_a_pickled_destination_gives_the_same_requests(config: bytes) -> None:
    """With every kind of setting, templates too, also after it was used."""
    destination, _ = read_destination(config)
    assert destination is not None
    expected = _described(transform(EVENT, destination, now=1))
    copy = pickle.loads(pickle.dumps(destination))
    assert type(copy) is type(destination)
    assert _described(transform(EVENT, copy, now=1)) == expected
    assert (copy.api_version, copy.by_phone) == (destination.api_version, destination.by_phone)


def test_what_events_filled_in_is_not_pickled() -> None:
    """A copy starts with an empty cache, so it is as small as at the start."""
    destination, _ = read_destination(b'{"siteID":"{{ context.site }}","apiKey":"k"}')
    assert isinstance(destination, DynamicDestination)
    before = pickle.dumps(destination)
    transform(EVENT, destination, now=1)
    assert pickle.dumps(destination) == before


def _described(transformed: tuple[Outcome, list[Request]]) -> list[object]:
    outcome, requests = transformed
    return [
        outcome,
        *(
            (request.template.method, request.template.headers, request.path, request.body)
            for request in requests
        ),
    ]
