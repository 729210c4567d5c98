"""Objects, and their relationships with people from both sides."""

from typing import Any

import pytest

from tests.sandbox.support import Track

ACME = {"object_type_id": "1", "object_id": "acme"}


def object_op(track: Track, action: str, identifiers: Any = ACME, **more: Any) -> int:
    operation = {"type": "object", "action": action, "identifiers": identifiers, **more}
    return track.entity(operation).status_code


def acme(track: Track) -> dict[str, Any]:
    return track.get("/sandbox/object", type="1", id="acme")


def test_an_object_is_made_and_updated(track: Track) -> None:
    """By type and id, later by cio_object_id too; null and "" remove an attribute."""
    object_op(track, "identify", attributes={"name": "Acme", "seats": 5, "old": 1})
    cio_object_id = acme(track)["cio_object_id"]
    object_op(
        track, "identify", {"cio_object_id": cio_object_id}, attributes={"seats": None, "old": ""}
    )
    assert acme(track)["attributes"] == {"name": "Acme"}
    object_op(track, "identify", {"cio_object_id": "none"}, attributes={"a": 1})
    assert track.last() == ("dropped", "there is no cio_object_id none")


def test_people_are_related_and_made(track: Track) -> None:
    """From the object's side, with attributes of the relationship; seen from both sides."""
    relations = [
        {"identifiers": {"id": "u1"}, "relationship_attributes": {"role": "admin", "x": ""}},
        {"identifiers": {"email": "jane@example.com"}},
    ]
    object_op(track, "identify", attributes={"name": "Acme"}, cio_relationships=relations)
    (relation,) = track.person(id="u1")["relationships"]
    assert relation["object_id"] == "acme"
    assert relation["relationship_attributes"] == {"role": "admin"}
    assert [person["email"] for person in acme(track)["people"]] == [None, "jane@example.com"]


def test_objects_are_related_and_made_from_the_persons_side(track: Track) -> None:
    """v2's array beside attributes, v1's object with an action."""
    relation = {"identifiers": ACME, "relationship_attributes": {"role": "admin"}}
    track.person_op("identify", {"id": "u1"}, cio_relationships=[relation])
    track.identify(
        "u2", cio_relationships={"action": "add_relationships", "relationships": [relation]}
    )
    assert [person["id"] for person in acme(track)["people"]] == ["u1", "u2"]
    assert track.attributes(id="u2") == {}
    track.identify(
        "u2", cio_relationships={"action": "delete_relationships", "relationships": [relation]}
    )
    track.person_op("delete_relationships", {"id": "u1"}, cio_relationships=[relation])
    assert acme(track)["people"] == []
    assert track.person(id="u1")["relationships"] == []


def test_relationships_change_from_the_objects_side(track: Track) -> None:
    """add_relationships and delete_relationships; ending what is not there says so."""
    relation = [{"identifiers": {"id": "u1"}}]
    object_op(track, "add_relationships", cio_relationships=relation)
    assert acme(track)["people"][0]["id"] == "u1"
    object_op(track, "delete_relationships", cio_relationships=relation)
    assert track.person(id="u1")["relationships"] == []
    object_op(track, "delete_relationships", cio_relationships=relation)
    assert track.last() == ("partly", "there is no relationship to id u1")


def test_a_deleted_object_leaves_no_relationship(track: Track) -> None:
    """Deleting what there is not is dropped."""
    object_op(track, "identify", cio_relationships=[{"identifiers": {"id": "u1"}}])
    assert object_op(track, "delete") == 200
    assert track.person(id="u1")["relationships"] == []
    assert object_op(track, "delete") == 200
    assert track.last() == ("dropped", "there is no object 1/acme")


def test_a_deleted_person_leaves_no_relationship(track: Track) -> None:
    """The object stays."""
    object_op(track, "identify", cio_relationships=[{"identifiers": {"id": "u1"}}])
    track.http.delete("/api/v1/customers/u1")
    assert acme(track)["people"] == []


def test_an_anonymous_relationship_carries_over(track: Track) -> None:
    """identify_anonymous relates an anonymous id; whoever is identified with it gets it."""
    relation = [{"identifiers": {"anonymous_id": "a1"}}]
    object_op(track, "identify_anonymous", attributes={"n": 1}, cio_relationships=relation)
    assert acme(track)["people"] == []
    track.identify("u1", anonymous_id="a1")
    assert acme(track)["people"][0]["id"] == "u1"


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ({"identifiers": None}, "identifiers"),
        ({"identifiers": {"object_id": "a"}}, "identifiers.object_type_id"),
        ({"identifiers": {"object_type_id": "1"}}, "identifiers.object_id"),
        ({"identifiers": {**ACME, "object_type_id": "x"}}, "identifiers.object_type_id"),
        ({"identifiers": {**ACME, "cio_object_id": "a"}}, "identifiers"),
        ({"identifiers": {**ACME, "object_id": "x" * 151}}, "identifiers.object_id"),
        ({"attributes": []}, "attributes"),
        ({"cio_relationships": {}}, "cio_relationships"),
        ({"cio_relationships": [1]}, "cio_relationships[0]"),
        ({"cio_relationships": [{}]}, "cio_relationships[0].identifiers"),
        ({"action": "sing"}, "action"),
        ({"type": "planet"}, "type"),
        ({"action": None}, "action"),
    ],
)
def test_bad_objects(track: Track, operation: dict[str, Any], field: str) -> None:
    """400, and the field at fault."""
    good = {"type": "object", "action": "identify", "identifiers": ACME}
    answer = track.entity(good | operation)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
