"""The end of people and what they own: delete, suppress, merge, devices, segments."""

import pytest

from tests.sandbox.support import Track

DEVICE = {"id": "tok", "platform": "ios", "last_used": 1_700_000_000}


def suppress(track: Track, who: str, action: str = "suppress") -> None:
    assert track.http.post(f"/api/v1/customers/{who}/{action}").json() == {}


def test_a_deleted_person_comes_back_empty(track: Track) -> None:
    """Deleting somebody unknown is 200, and does nothing."""
    track.identify("u1", plan="pro")
    track.event("u1", "Order")
    assert track.http.delete("/api/v1/customers/u1").json() == {}
    assert track.find(id="u1") is None
    assert track.http.delete("/api/v1/customers/u1").json() == {}
    assert track.last() == ("dropped", "no person has the id u1")
    track.identify("u1")
    assert track.person(id="u1")["events"] == []


@pytest.mark.parametrize("version", [1, 2])
def test_suppressed_people_are_ignored(track: Track, version: int) -> None:
    """By all their identifiers, with 200, until unsuppressed; and that restores nothing."""
    track.identify("u1", email="jane@example.com", plan="pro")
    if version == 1:
        suppress(track, "u1")
    else:
        track.person_op("suppress", {"email": "jane@example.com"})
    assert track.find(id="u1") is None
    track.identify("u1", plan="pro")
    track.event("JANE@example.com", "Order")
    track.put("/api/v1/customers/u1/devices", {"device": DEVICE})
    track.identify("u2", email="jane@example.com")
    assert [row["reason"] for row in track.rows(limit="4")] == [
        "email jane@example.com is suppressed",
        "id u1 is suppressed",
        "email JANE@example.com is suppressed",
        "id u1 is suppressed",
    ]
    assert track.get("/sandbox/counters")["people"] == 0
    suppress(track, "jane%40example.com", "unsuppress")
    assert track.find(id="u1") is None
    track.identify("u1", city="Berlin")
    assert track.attributes(id="u1") == {"city": "Berlin"}


def test_an_unknown_identifier_can_be_suppressed(track: Track) -> None:
    """It cannot come; unsuppressing what is free is dropped."""
    suppress(track, "u1")
    track.identify("u1")
    assert track.find(id="u1") is None
    suppress(track, "u9", "unsuppress")
    assert track.last() == ("dropped", "the id u9 is not suppressed")


@pytest.mark.parametrize("version", [1, 2])
def test_merge_moves_everything_and_fills_gaps(track: Track, version: int) -> None:
    """The primary keeps its attributes; devices, segments, relationships, events move."""
    track.identify("p", plan="pro", city="")
    track.identify("s", email="s@example.com", plan="free", city="Berlin", anonymous_id="a1")
    track.event("s", "first")
    track.event("p", "second")
    track.event("s", "third")
    track.put("/api/v1/customers/s/devices", {"device": DEVICE})
    track.post("/api/v1/segments/7/add_customers", {"ids": ["s"]})
    relation = [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]
    track.person_op("add_relationships", {"id": "s"}, cio_relationships=relation)
    if version == 1:
        track.merge({"id": "p"}, {"email": "S@example.com"})
    else:
        track.entity(
            {
                "type": "person",
                "action": "merge",
                "primary": {"id": "p"},
                "secondary": {"email": "S@example.com"},
            }
        )
    assert track.find(id="s") is None
    person = track.person(id="p")
    assert person["email"] == "s@example.com"
    assert person["attributes"] == {"plan": "pro", "city": "Berlin", "anonymous_id": "a1"}
    assert track.event_names(id="p") == ["first", "second", "third"]
    assert [device["token"] for device in person["devices"]] == ["tok"]
    assert person["segments"] == [7]
    assert person["relationships"][0]["object_id"] == "acme"
    assert track.get("/sandbox/object", type="1", id="acme")["people"][0]["id"] == "p"
    track.anonymous("a1", "fourth")
    assert track.event_names(id="p")[-1] == "fourth"


@pytest.mark.parametrize(("primary", "secondary"), [("p", "none"), ("none", "s"), ("p", "p")])
def test_merge_does_nothing_unless_both_exist(track: Track, primary: str, secondary: str) -> None:
    """200, and the log says which of them is missing."""
    track.identify("p", plan="pro")
    track.identify("s", plan="free")
    track.merge({"id": primary}, {"id": secondary})
    outcome, reason = track.last()
    assert outcome == "dropped"
    assert "does not exist" in reason or "same person" in reason
    assert track.get("/sandbox/counters")["people"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"primary": {"id": "a"}},
        {"primary": {"id": "a", "email": "a@b.co"}, "secondary": {"id": "b"}},
        {"primary": {"id": "a"}, "secondary": {}},
        {"primary": {"id": "a"}, "secondary": {"phone": "+49301"}},
        {"primary": {"id": "a"}, "secondary": {"anonymous_id": "b"}},
        {"primary": "a", "secondary": "b"},
    ],
)
def test_merge_wants_one_identifier_a_side(track: Track, body: dict[str, object]) -> None:
    """400 with a single error; phones and anonymous ids cannot be merged."""
    answer = track.post("/api/v1/merge_customers", body)
    assert answer.status_code == 400
    assert set(answer.json()["meta"]) == {"error"}


def test_devices_are_added_changed_and_deleted(track: Track) -> None:
    """By token; attributes are added to those there are."""
    path = "/api/v1/customers/u1/devices"
    attributes = {"device_os": "17", "push_enabled": "true"}
    assert track.put(path, {"device": {**DEVICE, "attributes": attributes}}).json() == {}
    more = {"device": {**DEVICE, "platform": "android", "attributes": {"device_os": "18"}}}
    track.put(path, more)
    (device,) = track.person(id="u1")["devices"]
    assert device == {
        "token": "tok",
        "platform": "android",
        "last_used": 1_700_000_000,
        "attributes": {"device_os": "18", "push_enabled": "true"},
    }
    assert track.http.delete(f"{path}/tok").json() == {}
    assert track.person(id="u1")["devices"] == []
    assert track.http.delete(f"{path}/tok").json() == {}
    assert track.last() == ("dropped", "the person has no such device")


def test_v2_devices_have_a_token(track: Track) -> None:
    """device.token in place of device.id; any characters."""
    device = {"token": "a/b c", "platform": "ios"}
    track.person_op("add_device", {"id": "u1"}, device=device)
    assert track.person(id="u1")["devices"][0]["token"] == "a/b c"
    assert track.http.delete("/api/v1/customers/u1/devices/a%2Fb%20c").json() == {}
    track.person_op("add_device", {"id": "u1"}, device=device)
    track.person_op("delete_device", {"id": "u1"}, device={"token": "a/b c"})
    assert track.person(id="u1")["devices"] == []


@pytest.mark.parametrize("platform", [None, "", "iOS", "web", 1, ["ios"]])
def test_a_platform_is_ios_or_android(track: Track, platform: object) -> None:
    """400 otherwise, in both versions."""
    body = {"device": {"id": "tok", "platform": platform}}
    assert track.put("/api/v1/customers/u1/devices", body).status_code == 400
    device = {"token": "tok", "platform": platform}
    answer = track.person_op("add_device", {"id": "u1"}, device=device)
    assert answer.json()["errors"][0]["field"] == "device.platform"


@pytest.mark.parametrize(
    "device",
    [
        None,
        [],
        {"platform": "ios"},
        {"id": "", "platform": "ios"},
        {"id": 5, "platform": "ios"},
        {**DEVICE, "attributes": []},
        {**DEVICE, "attributes": {"push_enabled": True}},
    ],
)
def test_a_device_has_a_token_and_attributes_of_text(track: Track, device: object) -> None:
    """400 otherwise."""
    assert track.put("/api/v1/customers/u1/devices", {"device": device}).status_code == 400


def test_what_stands_beside_attributes_of_a_device_is_ignored(track: Track) -> None:
    """And the log says so."""
    track.put("/api/v1/customers/u1/devices", {"device": {**DEVICE, "app_version": "1"}})
    assert track.person(id="u1")["devices"][0]["attributes"] == {}
    assert "app_version" in track.last()[1]


def test_segments_take_people_by_any_identifier(track: Track) -> None:
    """id_type says which; values that match nobody are ignored."""
    track.identify("u1", email="jane@example.com")
    track.identify("u2")
    cio_id = track.person(id="u2")["cio_id"]
    path = "/api/v1/segments/7/add_customers"
    track.post(f"{path}?id_type=email", {"ids": ["JANE@example.com"]})
    assert track.post(f"{path}?id_type=cio_id", {"ids": [cio_id, "none", 5]}).json() == {}
    assert track.last() == ("partly", "values that are no person's cio_id: 2 of 3")
    assert track.person(id="u1")["segments"] == track.person(id="u2")["segments"] == [7]
    track.post(path, {"ids": ["jane@example.com"]})
    assert track.last()[0] == "dropped"
    track.post("/api/v1/segments/7/remove_customers", {"ids": ["u1"]})
    assert track.person(id="u1")["segments"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/segments/x/add_customers", {"ids": ["a"]}),
        ("/api/v1/segments/0/add_customers", {"ids": ["a"]}),
        ("/api/v1/segments/2147483648/add_customers", {"ids": ["a"]}),
        ("/api/v1/segments/7/add_customers?id_type=phone", {"ids": ["a"]}),
        ("/api/v1/segments/7/add_customers", {}),
        ("/api/v1/segments/7/add_customers", {"ids": []}),
        ("/api/v1/segments/7/remove_customers", {"ids": "a"}),
    ],
)
def test_bad_segment_calls(track: Track, path: str, body: object) -> None:
    """400."""
    assert track.post(path, body).status_code == 400
