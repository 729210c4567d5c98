"""Opt-in settings end to end: events through the transform into the sandbox, in both API versions."""

import json
from typing import Any

import pytest
from ciosidecar_transform import read_destination, transform

from tests.sandbox.support import Track

NOW = 1_772_600_000
API_VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])
DEVICE = {"device": {"token": "t1", "type": "ios"}}


class Sender:
    """Sends what events become, one by one, to a sandbox."""

    def __init__(self, track: Track, **config: Any) -> None:
        settings = {"siteID": "site", "apiKey": "key"} | config
        found, problems = read_destination(json.dumps(settings).encode())
        assert found is not None, problems
        self.destination = found
        self.track = track

    def send(self, *events: dict[str, Any]) -> None:
        """Each is answered with 200, whatever becomes of it."""
        for event in events:
            outcome, requests = transform(json.dumps(event).encode(), self.destination, now=NOW)
            assert outcome.status == 200, outcome.error
            for request in requests:
                answer = self.track.http.request(
                    request.template.method,
                    request.path,
                    content=request.body,
                    headers=request.template.headers,
                )
                assert (answer.status_code, answer.json()) == (200, {}), answer.text


def identify(user_id: str, **traits: Any) -> dict[str, Any]:
    """An identify."""
    return {"type": "identify", "userId": user_id, "traits": traits}


def named(name: str, user_id: str | None = "u", **members: Any) -> dict[str, Any]:
    """A track of that name."""
    return {"type": "track", "event": name, "userId": user_id, **members}


@API_VERSIONS
def test_13_2_people_are_deleted_suppressed_and_unsuppressed(track: Track, version: str) -> None:
    """Suppressed people stay away until they are unsuppressed; deleted ones come back."""
    sender = Sender(track, apiVersion=version, semanticEvents=True)
    sender.send(identify("u", plan="a"), identify("v"))
    sender.send(named("User Deleted"), named("User Suppressed", "v"))
    assert track.find(id="u") is None
    assert track.find(id="v") is None
    sender.send(identify("u", plan="b"), identify("v"))
    assert track.attributes(id="u")["plan"] == "b"
    assert track.find(id="v") is None
    sender.send(named("User Unsuppressed", "v"), identify("v"))
    assert track.find(id="v") is not None


@API_VERSIONS
def test_13_2_relationships_and_objects_are_deleted(track: Track, version: str) -> None:
    """First the relationship, then the object."""
    sender = Sender(track, apiVersion=version, semanticEvents=True)
    sender.send({"type": "group", "groupId": "acme", "userId": "u", "traits": {"name": "Acme"}})
    assert len(track.person(id="u")["relationships"]) == 1
    acme = {"objectId": "acme"}
    sender.send(named("Relationship Deleted", properties=acme))
    assert track.person(id="u")["relationships"] == []
    assert objects(track) == ["acme"]
    sender.send(named("Object Deleted", None, properties=acme))
    assert objects(track) == []


def objects(track: Track) -> list[str]:
    """The ids of the objects there are."""
    return [one["object_id"] for one in track.get("/sandbox/objects")["objects"]]


@API_VERSIONS
def test_13_2_devices_come_and_go(track: Track, version: str) -> None:
    """With their attributes."""
    sender = Sender(track, apiVersion=version, semanticEvents=True)
    properties = {"push_enabled": True}
    sender.send(named("Device Created or Updated", context=DEVICE, properties=properties))
    (device,) = track.person(id="u")["devices"]
    assert (device["token"], device["platform"]) == ("t1", "ios")
    assert device["attributes"] == {"push_enabled": "true"}
    sender.send(named("Device Deleted", context=DEVICE))
    assert track.person(id="u")["devices"] == []


@API_VERSIONS
def test_13_2_deliveries_are_reported(track: Track, version: str) -> None:
    """A push, which v2 has a word for, and a mail, which it has not."""
    sender = Sender(track, apiVersion=version, semanticEvents=True)
    push = {"deliveryId": "d1", "metric": "opened"}
    mail = {"deliveryId": "d2", "metric": "bounced", "recipient": "jane@example.com"}
    sender.send(
        named("Report Delivery Event", properties=push, context=DEVICE, timestamp="2026-03-04"),
        named("Report Delivery Event", None, properties=mail),
    )
    calls = {row["who"]: (row["call"], row["outcome"]) for row in track.rows(limit="2")}
    push_call = "metric" if version == "v1" else "delivery event"
    assert calls == {"delivery d1": (push_call, "applied"), "delivery d2": ("metric", "applied")}
    assert track.get("/sandbox/counters")["metrics"] == 2


@API_VERSIONS
def test_13_3_an_anonymous_relationship_is_the_persons_once_they_are_known(
    track: Track, version: str
) -> None:
    """With its attributes, like that of a known person."""
    sender = Sender(track, apiVersion=version, groupRelationships="full")
    group = {"type": "group", "groupId": "acme"}
    sender.send(
        group | {"userId": "v", "traits": {"relationshipAttributes": {"role": "admin"}}},
        group | {"anonymousId": "an", "traits": {"relationshipAttributes": {"role": "guest"}}},
        identify("u") | {"anonymousId": "an"},
    )
    for person, role in (("v", "admin"), ("u", "guest")):
        (relationship,) = track.person(id=person)["relationships"]
        assert relationship["relationship_attributes"] == {"role": role}


def test_13_4_people_are_known_by_phone(track: Track) -> None:
    """Attributes and events under one number reach one person."""
    sender = Sender(track, apiVersion="v2", phoneAsIdentifier=True)
    traits = {"phone": "+15551234567"}
    sender.send(
        {"type": "identify", "traits": traits | {"plan": "a"}},
        {"type": "track", "event": "Bought", "context": {"traits": traits}},
    )
    assert track.attributes(phone="+15551234567")["plan"] == "a"
    assert track.event_names(phone="+15551234567") == ["Bought"]


@API_VERSIONS
def test_13_5_an_identify_creates_nobody(track: Track, version: str) -> None:
    """Those who exist are changed."""
    Sender(track, apiVersion=version).send(identify("known", plan="a"))
    sender = Sender(track, apiVersion=version, updateOnly=True)
    sender.send(identify("known", plan="b"), identify("unknown", plan="b"))
    assert track.attributes(id="known")["plan"] == "b"
    assert "_update" not in track.attributes(id="known")
    assert track.find(id="unknown") is None


@API_VERSIONS
def test_13_6_and_13_7_what_arrives_at_a_person(track: Track, version: str) -> None:
    """Seconds in place of dates; an empty text deletes nothing."""
    sender = Sender(track, apiVersion=version, convertDates=True, emptyStrings="drop")
    sender.send(identify("u", born="2024-01-02", plan="a"), identify("u", plan=""))
    found = track.attributes(id="u")
    assert (found["born"], found["plan"]) == (1704153600, "a")
    Sender(track, apiVersion=version).send(identify("u", plan=""))
    assert "plan" not in track.attributes(id="u")
