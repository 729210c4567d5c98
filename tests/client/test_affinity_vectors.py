"""The definition that the four clients share: tests/vectors/affinity.json, here for Python."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import ApiRequest, v1
from ciosidecar.affinity import address_order, person_key, slot_of
from ciosidecar.events import Event, encode_event

VECTORS: Any = json.loads(
    Path(__file__).parent.parent.joinpath("vectors", "affinity.json").read_text()
)


def slot(event: Event, ordering_key: str = "") -> int:
    """The slot of an event as a caller sends it."""
    return slot_of(person_key(event, encode_event(event), ordering_key))


@pytest.mark.parametrize("case", VECTORS["events"], ids=lambda case: case["about"])
def test_the_key_and_the_slot_of_an_event(case: dict[str, Any]) -> None:
    """As `about` says it."""
    event = case["event"].encode()
    key = person_key(event, event, case.get("ordering_key", ""))
    assert key == case.get("key", case["event"]).encode()
    assert slot_of(key) == case["slot"]


def test_an_event_that_is_not_utf_8_has_a_slot_too() -> None:
    """Its bytes decide."""
    for case in VECTORS["unreadable_base64"]:
        assert slot(base64.b64decode(case["event"])) == case["slot"]


@pytest.mark.parametrize("case", VECTORS["slots"], ids=lambda case: case["key"][:40])
def test_the_slot_of_a_key(case: dict[str, Any]) -> None:
    """A CRC-32 of its UTF-8."""
    assert slot_of(case["key"].encode()) == case["slot"]


@pytest.mark.parametrize("case", VECTORS["orders"], ids=str)
def test_the_order_of_the_addresses(case: dict[str, Any]) -> None:
    """Whatever the order in which a client names them."""
    for addresses in (case["addresses"], case["addresses"][::-1]):
        order = address_order(case["slot"], addresses)
        assert [addresses[index] for index in order] == case["order"]


@pytest.mark.parametrize(
    ("event", "same"),
    [
        ({"userId": "u1", "anonymousId": "a1"}, b'{"userId":"u1"}'),
        ({"userId": 42}, b'{"userId":"42"}'),
        ({"userId": 1.5}, b'{"userId":1.5}'),
        ({"userId": True, "anonymousId": "a1"}, b'{"anonymousId":"a1"}'),
        ({"userId": "\ud83d"}, b'{"userId":"\\ud83d"}'),
        (v1.RudderEvent(user_id="u1", anonymous_id="a1"), b'{"userId":"u1"}'),
        (v1.RudderEvent(anonymous_id="a1"), b'{"userId":"a1"}'),
        (v1.RudderEvent(message_id="m1"), b'{"userId":"m1"}'),
    ],
)
def test_every_form_of_an_event_has_the_slot_of_its_person(event: Event, same: bytes) -> None:
    """A dict, a typed event and their JSON go to one sidecar."""
    assert slot(event) == slot(same)


def test_a_prepared_request_goes_by_its_ordering_key_or_its_body() -> None:
    """A request names no person."""
    request = ApiRequest(
        method="POST", url="https://x/", endpoint_path="x", headers={}, body=b"{}", positions=(0,)
    )
    assert slot(request) == slot_of(b"{}")
    assert slot(request, "u1") == slot_of(b"u1")
