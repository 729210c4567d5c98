"""A person's relationships in `cio_relationships`. Rules 4.8b, 10.1."""

import json
from typing import Any

import pytest
from ciosidecar_transform import transform

from .api_versions import PERSON, attributes_of_both, in_either_place, v1_body, v2_item
from .support import NOW, codes, destination, identify, of_type, refusal_of, request_of, row, sent

ADD, DELETE = "add_relationships", "delete_relationships"
ACME = {"identifiers": {"object_type_id": "1", "object_id": "acme"}}
OTHER = {
    "identifiers": {"cio_object_id": "ob1"},
    "relationship_attributes": {"role": "é", "n": 12345678901234567890},
}
LISTED = [ACME, OTHER]
NO_ELEMENTS: list[Any] = [None, "acme", 7, True, [], [ACME], {}, {"identifiers": None}]
NO_ELEMENTS += [{"identifiers": "acme"}, {"identifiers": []}, {"relationship_attributes": {}}]
NO_ACTIONS: list[Any] = [None, "", "add", "Add_Relationships", " add_relationships", "delete", 7]
NO_ACTIONS += [True, {}, [], ["add_relationships"]]
NO_LISTS: list[Any] = [None, "", "acme", 7, True, {}, ACME, {"0": ACME}]


def related(relationships: object, **more: Any) -> list[dict[str, Any]]:
    """Identifies that have the relationships, as trait and by user_properties."""
    events = in_either_place({"cio_relationships": relationships, "plan": "pro"})
    return [event | more for event in events]


@pytest.mark.parametrize(
    "written",
    [
        LISTED,
        {"relationships": LISTED},
        {"action": ADD, "relationships": LISTED},
        {"relationships": LISTED, "action": ADD},
    ],
)
def test_4_8b_every_form_of_adding_is_sent_in_the_form_of_the_api_version(written: object) -> None:
    """v1 takes the object, v2 the list beside the attributes (10.1)."""
    for event in related(written):
        assert v1_body(event)["cio_relationships"] == {"action": ADD, "relationships": LISTED}
        item = v2_item(event, createdAtFallback="none")
        assert (item["cio_relationships"], item["attributes"]) == (LISTED, {"plan": "pro"})


def test_10_1_what_removes_relationships_goes_out_by_v1_and_never_adds() -> None:
    """By the v1 endpoint of 10.2, which has a place for it, in both API versions."""
    for event in related({"action": DELETE, "relationships": LISTED}):
        for api_version in ("v1", "v2"):
            request = request_of(event, apiVersion=api_version, createdAtFallback="none")
            assert (request["method"], request["path"]) == ("PUT", "/api/v1/customers/u")
            assert request["endpoint_path"] == "v1/customers"
            removed = {"action": DELETE, "relationships": LISTED}
            assert request["body"] == {"plan": "pro", "cio_relationships": removed}


@pytest.mark.parametrize(
    ("user_id", "path"),
    [("cio_abc", "cio_abc"), ("a@b.co", "a%40b.co"), ("ж", "%D0%B6")],
)
def test_10_1_the_path_addresses_the_same_person(user_id: str, path: str) -> None:
    """A cio_id is written `cio_…` there; the time is `_timestamp` there."""
    event = identify(userId=user_id, timestamp="2024-01-02")
    event["traits"] = {"cio_relationships": {"action": DELETE, "relationships": [ACME]}}
    request = request_of(event, apiVersion="v2", createdAtFallback="none")
    assert request["path"] == f"/api/v1/customers/{path}"
    assert request["body"]["_timestamp"] == 1704153600


@pytest.mark.parametrize(
    ("kind", "user_id", "path"),
    [("cio_id", "abc", "cio_abc"), ("email", "a@b.co", "a%40b.co"), ("id", "u", "u")],
)
def test_10_1_a_kind_that_the_path_shows_has_a_v1_endpoint(
    kind: str, user_id: str, path: str
) -> None:
    """Rule 3.8 with 10.2."""
    for event in related({"action": DELETE, "relationships": [ACME]}, userId=user_id):
        request = request_of(event, apiVersion="v2", userIdIdentifierType=kind)
        assert request["path"] == f"/api/v1/customers/{path}"


@pytest.mark.parametrize(
    ("config", "user_id", "identifiers"),
    [
        ({"userIdIdentifierType": "id"}, "a@b.co", {"id": "a@b.co"}),
        ({"userIdIdentifierType": "id"}, "cio_abc", {"id": "cio_abc"}),
        ({"userIdIdentifierType": "phone"}, "+15551234567", {"phone": "+15551234567"}),
        ({"phoneAsIdentifier": True}, None, {"phone": "+15551234567"}),
    ],
)
def test_10_1_where_v1_has_no_endpoint_the_deletion_is_left_out_with_a_warning(
    config: dict[str, Any], user_id: str | None, identifiers: dict[str, str]
) -> None:
    """The rest of the identify is sent; nothing is added."""
    removed = {"action": DELETE, "relationships": LISTED}
    event = identify(userId=user_id, user_properties={"cio_relationships": removed})
    event["traits"] = {"phone": "+15551234567"}
    item = v2_item(event, "RELATIONSHIP_LEFT_OUT", createdAtFallback="none", **config)
    assert (item["identifiers"], item["attributes"]) == (identifiers, {"phone": "+15551234567"})
    assert "cio_relationships" not in item


@pytest.mark.parametrize("none", NO_ELEMENTS)
@pytest.mark.parametrize("action", [None, ADD, DELETE])
def test_4_8b_elements_that_are_no_relationship_are_left_out_with_a_warning(
    action: str | None, none: object
) -> None:
    """The others are sent; one warning, however many there are."""
    for listed in ([none, ACME], [ACME, none], [none, ACME, none]):
        written = listed if action is None else {"action": action, "relationships": listed}
        for event in related(written):
            kept = {"action": action or ADD, "relationships": [ACME]}
            assert v1_body(event, "RELATIONSHIP_LEFT_OUT")["cio_relationships"] == kept
            if action != DELETE:
                assert v2_item(event, "RELATIONSHIP_LEFT_OUT")["cio_relationships"] == [ACME]


@pytest.mark.parametrize(
    "written",
    [
        *NO_LISTS,
        *({"action": ADD, "relationships": none} for none in NO_LISTS),
        *({"action": action, "relationships": LISTED} for action in NO_ACTIONS),
        {"action": ADD},
        {"action": DELETE},
        [],
        {"relationships": []},
        {"action": DELETE, "relationships": []},
        *([none] for none in NO_ELEMENTS),
        *({"action": DELETE, "relationships": [none, none]} for none in NO_ELEMENTS),
    ],
)
def test_4_8b_what_is_no_relationships_is_left_out_with_a_warning(written: object) -> None:
    """Another action (null too), no array, or nothing left of it. The person is sent, by v2 too."""
    for event in related(written):
        for api_version in ("v1", "v2"):
            outcome, (request,) = sent(event, apiVersion=api_version, createdAtFallback="none")
            assert set(codes(outcome)) <= {"WRONG_TYPE", "RELATIONSHIP_LEFT_OUT"}
            assert outcome.warnings
            body = request["body"]
            if api_version == "v2":
                (body,) = body["batch"]
                assert "cio_relationships" not in body
                body = body["attributes"]
            assert body == {"plan": "pro"}


def test_4_8b_relationships_are_left_as_they_were_written() -> None:
    """Digits and escapes of what stands in an element (1.3)."""
    raw = b'[{"identifiers":{"object_id": 1.0,"n":12345678901234567890,"t":"\\u00e9"},"x":1e2}]'
    event = b'{"type":"identify","userId":"u","traits":{"cio_relationships":' + raw + b"}}"
    for api_version in ("v1", "v2"):
        assert raw[1:-1] in request_of(event, apiVersion=api_version)["raw"]


@pytest.mark.parametrize("size", [1, 20])
def test_4_9_relationships_have_no_limit_of_size(size: int) -> None:
    """The name is reserved."""
    listed = [
        {"identifiers": {"object_type_id": "1", "object_id": f"{n:0100}"}} for n in range(size)
    ]
    for event in related(listed):
        assert v1_body(event)["cio_relationships"]["relationships"] == listed
        assert v2_item(event)["cio_relationships"] == listed


def test_10_1_lifted_relationships_do_not_count_towards_the_300() -> None:
    """Nor does `_timestamp`: 300 attributes beside them are 300."""
    traits: dict[str, Any] = {f"a{n:03}": n for n in range(300)}
    event = identify(traits=traits | {"cio_relationships": [ACME]}, timestamp="2024-01-02")
    item = v2_item(event, createdAtFallback="none")
    assert item["attributes"] == traits
    assert item["cio_relationships"] == [ACME]
    body = v1_body(event, "TOO_MANY_ATTRIBUTES", createdAtFallback="none")
    assert len(body) == 300
    assert {"cio_relationships", "_timestamp"} <= body.keys()


@pytest.mark.parametrize("action", ["insert", "update"])
def test_4_8b_relationships_of_a_row(action: str) -> None:
    """Rule 9.4: as of an identify, in both API versions."""
    event = row(action, id="u", cio_relationships=[ACME])
    assert attributes_of_both(event, connection=PERSON) == {}
    added = {"action": ADD, "relationships": [ACME]}
    assert v1_body(event, connection=PERSON) == {"cio_relationships": added}
    bad = row(action, id="u", cio_relationships="acme")
    assert attributes_of_both(bad, "WRONG_TYPE", connection=PERSON) == {}


@pytest.mark.parametrize(
    ("columns", "path"),
    [({"id": "u"}, "u"), ({"cio_id": "abc"}, "cio_abc"), ({"email": "a@b.co"}, "a%40b.co")],
)
def test_10_1_a_row_that_removes_relationships_goes_out_by_v1(
    columns: dict[str, str], path: str
) -> None:
    """A cio_id is written `cio_…` in the path."""
    removed = {"action": DELETE, "relationships": [ACME]}
    event = row(**columns, cio_relationships=removed)
    request = request_of(event, connection=PERSON, apiVersion="v2")
    assert request["path"] == f"/api/v1/customers/{path}"
    assert request["body"] == {"cio_relationships": removed}


def test_13_5_updates_only_stays_so_by_v1() -> None:
    """An identify that leaves the batch creates nobody either."""
    for event in related({"action": DELETE, "relationships": [ACME]}):
        assert request_of(event, apiVersion="v2", updateOnly=True)["body"]["_update"] is True


# Bad input


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize("depth", [490, 990, 1000, 5000, 100_000])
def test_1_1_relationships_that_nest_deeply_are_no_fault_of_ours(
    depth: int, api_version: str
) -> None:
    """500 levels work; more than 1,000 may be refused, and then as `INVALID_JSON`."""
    deep = b"[" * depth + b"]" * depth
    for place in (
        b"%b",
        b'{"action":%b,"relationships":[]}',
        b'{"relationships":%b}',
        b'[{"identifiers":%b}]',
        b'[{"identifiers":{"object_id":%b}}]',
        b'{"action":"delete_relationships","relationships":[{"identifiers":{"object_id":%b}}]}',
    ):
        traits = b'{"plan":"pro","cio_relationships":' + place.replace(b"%b", deep) + b"}"
        event = b'{"type":"identify","userId":"u","traits":' + traits + b"}"
        outcome, requests = sent_without_reading(event, api_version)
        if depth < 500 or outcome == 200:
            assert (outcome, requests) == (200, 1)
        else:
            assert refusal_of(event, apiVersion=api_version) == "INVALID_JSON"


def sent_without_reading(event: bytes, api_version: str) -> tuple[int, int]:
    """The status of an event, and how many requests it became: nobody reads so deep a body here."""
    outcome, requests = transform(
        event, destination(apiVersion=api_version), source_type="", now=NOW, connection=None
    )
    return outcome.status, len(requests)


def test_4_8b_ten_thousand_relationships_are_looked_through_once() -> None:
    """Half of them are none: one warning."""
    listed = [ACME if n % 2 else {"identifiers": n} for n in range(10_000)]
    event = identify(traits={"cio_relationships": listed})
    body = v1_body(event, "RELATIONSHIP_LEFT_OUT")
    assert body["cio_relationships"]["relationships"] == [ACME] * 5000


def test_4_8b_a_text_is_no_relationships_even_if_it_is_the_json_of_some() -> None:
    """Only preferences may be a text."""
    event = of_type("identify", userId="u", traits={"cio_relationships": json.dumps(LISTED)})
    assert "cio_relationships" not in v1_body(event, "WRONG_TYPE")
