"""Customer.io's limits at the exact byte: what has as many is taken, one more is refused."""

import json
from typing import Any

import pytest

from tests.sandbox.support import Track

# One, two, three and four bytes of UTF-8 a character.
CHARACTERS = ["a", "é", "日", "😀"]


def text_of(size: int, character: str) -> str:
    """A text of so many bytes, filled up with a."""
    count, rest = divmod(size, len(character.encode()))
    return character * count + "a" * rest


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def send(track: Track, method: str, path: str, body: bytes) -> int:
    headers = {"Content-Type": "application/json"}
    return track.http.request(method, path, content=body, headers=headers).status_code


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 400)])
class TestTexts:
    """Texts of one to four bytes a character."""

    def test_event_names(self, track: Track, character: str, over: int, status: int) -> None:
        """100 bytes, in v1, for anonymous events and in v2."""
        name = text_of(100 + over, character)
        path = "/api/v1/customers/u1/events"
        assert track.post(path, {"name": name}).status_code == status
        assert track.post(path, {"name": f"  {name} "}).status_code == status
        body = {"anonymous_id": "a", "name": name}
        assert track.post("/api/v1/events", body).status_code == status
        for action in ("event", "page", "screen"):
            assert track.person_op(action, {"id": "u1"}, name=name).status_code == status

    def test_ids(self, track: Track, character: str, over: int, status: int) -> None:
        """150 bytes, in paths, bodies, merges and of objects."""
        value = text_of(150 + over, character)
        assert track.http.put(f"/api/v1/customers/{value}", json={}).status_code == status
        assert track.person_op("identify", {"id": value}).status_code == status
        body = {"primary": {"id": value}, "secondary": {"id": "b"}}
        assert track.post("/api/v1/merge_customers", body).status_code == status
        event = {"anonymous_id": value, "name": "Order"}
        assert track.post("/api/v1/events", event).status_code == status
        identifiers = {"object_type_id": "1", "object_id": value}
        operation = {"type": "object", "action": "identify", "identifiers": identifiers}
        assert track.entity(operation).status_code == status

    def test_attribute_names(self, track: Track, character: str, over: int, status: int) -> None:
        """150 bytes; one name too long loses the whole call."""
        attributes = {text_of(150 + over, character): 1, "plan": "pro"}
        assert track.put("/api/v1/customers/u1", attributes).status_code == status
        assert (track.find(id="u1") is not None) is (status == 200)
        answer = track.person_op("identify", {"id": "u1"}, attributes=attributes)
        assert answer.status_code == status

    def test_attribute_values(self, track: Track, character: str, over: int, status: int) -> None:
        """1,000 bytes of a text; the messages are the documented ones."""
        attributes = {"plan": text_of(1000 + over, character)}
        answer = track.put("/api/v1/customers/u1", attributes)
        assert answer.status_code == status
        second = track.person_op("identify", {"id": "u1"}, attributes=attributes)
        assert second.status_code == status
        if status == 400:
            message = "value for attribute 'plan' cannot be longer than 1000 bytes"
            assert answer.json() == {"meta": {"errors": [message]}}
            assert second.json() == {
                "errors": [
                    {
                        "reason": "invalid",
                        "field": "attributes.plan",
                        "message": "property value cannot be longer than 1000 bytes",
                    }
                ]
            }

    def test_nested_values(self, track: Track, character: str, over: int, status: int) -> None:
        """1,000 bytes of compact JSON of an object or array, however it was written."""
        size = 1000 - len(compact({"a": [""]})) + over
        attributes = {"o": {"a": [text_of(size, character)]}}
        for body in (compact(attributes), json.dumps(attributes, indent=2).encode()):
            assert send(track, "PUT", "/api/v1/customers/u1", body) == status

    def test_event_data(self, track: Track, character: str, over: int, status: int) -> None:
        """100,000 bytes of compact JSON in v1."""
        data = {"a": text_of(100_000 - len(compact({"a": ""})) + over, character)}
        body = compact({"name": "Order", "data": data})
        assert send(track, "POST", "/api/v1/customers/u1/events", body) == status
        spaced = body.replace(b'"data":', b'"data":  ').replace(b'{"a":', b'{   "a":  ')
        assert send(track, "POST", "/api/v1/customers/u1/events", spaced) == status

    def test_v2_operations(self, track: Track, character: str, over: int, status: int) -> None:
        """32,768 bytes as sent, alone and in a batch."""
        operation = {
            "type": "person",
            "action": "event",
            "identifiers": {"id": "u1"},
            "name": "Order",
            "attributes": {"a": ""},
        }
        size = 32_768 - len(compact(operation)) + over
        operation["attributes"] = {"a": text_of(size, character)}
        body = compact(operation)
        assert len(body) == 32_768 + over
        assert send(track, "POST", "/api/v2/entity", body) == status
        batch = b'{"batch":[' + body + b"]}"
        assert send(track, "POST", "/api/v2/batch", batch) == (200 if status == 200 else 207)

    def test_v2_batches(self, track: Track, character: str, over: int, status: int) -> None:
        """500,000 bytes of body, white space included; over it nothing is accepted."""
        item = {
            "type": "person",
            "action": "event",
            "identifiers": {"id": "u1"},
            "name": "Order",
            "attributes": {"a": text_of(30_000, character)},
        }
        body = compact({"batch": [item] * 16})
        body = body.ljust(500_000 + over)
        assert send(track, "POST", "/api/v2/batch", body) == status
        assert track.get("/sandbox/counters")["events"] == (16 if status == 200 else 0)


@pytest.mark.parametrize(("count", "status"), [(300, 200), (301, 400)])
def test_a_request_has_300_attributes(track: Track, count: int, status: int) -> None:
    """In both versions, of people, objects and devices."""
    attributes = {f"a{number}": "1" for number in range(count)}
    assert track.put("/api/v1/customers/u1", attributes).status_code == status
    answer = track.person_op("identify", {"id": "u1"}, attributes=attributes)
    assert answer.status_code == status
    identifiers = {"object_type_id": "1", "object_id": "acme"}
    operation = {
        "type": "object",
        "action": "identify",
        "identifiers": identifiers,
        "attributes": attributes,
    }
    assert track.entity(operation).status_code == status
    device = {"token": "t", "platform": "ios", "attributes": attributes}
    assert track.person_op("add_device", {"id": "u1"}, device=device).status_code == status


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 400)])
def test_a_segment_call_has_1000_ids(track: Track, count: int, status: int) -> None:
    """Adding and removing."""
    body = {"ids": [f"u{number}" for number in range(count)]}
    for action in ("add_customers", "remove_customers"):
        assert track.post(f"/api/v1/segments/7/{action}", body).status_code == status
