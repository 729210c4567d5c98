"""identify: whom it reaches, and the updates that fail behind a 200."""

import pytest

from tests.sandbox.support import Track

FAILED = "attribute update failed"


def test_an_unknown_identifier_makes_a_person(track: Track) -> None:
    """By id or by email; attributes are under their own names."""
    track.identify("u1", plan="pro", seats=3)
    track.identify("jane@example.com", plan="free")
    assert track.attributes(id="u1") == {"plan": "pro", "seats": 3}
    assert track.person(email="jane@example.com")["id"] is None
    assert track.get("/sandbox/counters")["people"] == 2


@pytest.mark.parametrize(
    ("path", "kind", "value"),
    [
        ("u1", "id", "u1"),
        ("U1", "id", "U1"),
        ("jane@example.com", "email", "jane@example.com"),
        ("jane%40example.com", "email", "jane@example.com"),
        ("jane@localhost", "id", "jane@localhost"),
        ("a%2Fb%3Fc%23d", "id", "a/b?c#d"),
        ("%2525", "id", "%25"),
        ("50%25", "id", "50%"),
        ("a+b", "id", "a+b"),
        ("%E6%97%A5%E6%9C%AC", "id", "日本"),
        ("+4930123456", "id", "+4930123456"),
        ("cio", "id", "cio"),
    ],
)
def test_v1_reads_an_identifier_by_its_shape(
    track: Track, path: str, kind: str, value: str
) -> None:
    """Percent-decoded once; what looks like an email is one, a phone is an id."""
    track.identify(path, seen=True)
    assert track.person(**{kind: value})[kind] == value
    assert track.rows()[0]["who"] == f"{kind} {value}"


def test_cio_in_a_path_is_customer_ios_own_id(track: Track) -> None:
    """With its prefix in a path; it reaches whoever it belongs to."""
    track.identify("u1", plan="free")
    cio_id = track.person(id="u1")["cio_id"]
    track.identify(f"cio_{cio_id}", plan="pro")
    assert track.attributes(id="u1") == {"plan": "pro"}


def test_an_unknown_cio_id_makes_nobody(track: Track) -> None:
    """The request is dropped with 200."""
    track.identify("cio_ffffffff", plan="pro")
    assert track.last() == ("dropped", "no person has the cio_id ffffffff")
    assert track.get("/sandbox/counters")["people"] == 0


def test_emails_are_the_same_in_any_case_and_ids_are_not(track: Track) -> None:
    """person@example.com and PERSON@example.com are one person."""
    track.identify("Jane@Example.com", plan="free")
    track.identify("jane@example.COM", plan="pro")
    track.identify("a", n=1)
    track.identify("A", n=2)
    assert track.attributes(email="JANE@EXAMPLE.COM") == {"plan": "pro"}
    assert track.attributes(id="a") == {"n": 1}


@pytest.mark.parametrize("attribute", ["id", "email"])
def test_an_identifier_of_somebody_else_fails_the_update(track: Track, attribute: str) -> None:
    """Answered 200; the log says attribute update failed; nothing has changed."""
    track.identify("other", email="other@example.com")
    track.identify("jane@example.com", plan="free")
    value = {"id": "other", "email": "other@example.com"}[attribute]
    track.identify("jane@example.com", plan="pro", **{attribute: value})
    outcome, reason = track.last()
    assert outcome == "dropped"
    assert reason.startswith(FAILED)
    assert track.attributes(email="jane@example.com") == {"plan": "free"}
    assert track.attributes(id="other") == {}


def test_a_new_id_for_somebody_known_by_email_only(track: Track) -> None:
    """Unknown id in the path, email of somebody without id: they are updated and get the id."""
    track.identify("jane@example.com", plan="free")
    track.identify("u1", email="JANE@example.com", plan="pro")
    person = track.person(id="u1")
    assert person["attributes"] == {"plan": "pro"}
    assert person["cio_id"] == track.person(email="jane@example.com")["cio_id"]
    assert track.get("/sandbox/counters")["people"] == 1


def test_a_new_email_for_somebody_known_by_id_only(track: Track) -> None:
    """The same the other way round."""
    track.identify("u1", plan="free")
    track.identify("jane@example.com", id="u1")
    assert track.person(email="jane@example.com")["id"] == "u1"


def test_a_second_id_for_somebody_who_has_one_fails(track: Track) -> None:
    """Unknown id in the path, email of somebody with another id: nothing changes."""
    track.identify("u1", email="jane@example.com", plan="free")
    track.identify("u2", email="jane@example.com", plan="pro")
    outcome, reason = track.last()
    assert (outcome, reason.startswith(FAILED)) == ("dropped", True)
    assert track.find(id="u2") is None
    assert track.attributes(id="u1") == {"plan": "free"}


def test_another_id_than_the_one_in_the_path_fails(track: Track) -> None:
    """Both for somebody new and for somebody known; null too."""
    track.identify("u1", id="u2", plan="free")
    assert track.last()[1].startswith(FAILED)
    assert track.find(id="u1") is None
    track.identify("u1", plan="free")
    for value in ("u2", None):
        track.identify("u1", id=value, plan="pro")
        assert track.last()[1].startswith(FAILED)
    assert track.attributes(id="u1") == {"plan": "free"}


def test_identifiers_once_set_change_by_cio_id_only(track: Track) -> None:
    """By id the email stays and the rest is applied; by cio_id both identifiers change."""
    track.identify("u1", email="old@example.com")
    track.identify("u1", email="new@example.com", plan="pro")
    outcome, reason = track.last()
    assert (outcome, reason.startswith(FAILED)) == ("partly", True)
    person = track.person(id="u1")
    assert (person["email"], person["attributes"]) == ("old@example.com", {"plan": "pro"})
    track.identify(f"cio_{person['cio_id']}", email="new@example.com", id="u9")
    assert track.person(id="u9")["email"] == "new@example.com"
    assert track.find(id="u1") is None
    assert track.find(email="old@example.com") is None


@pytest.mark.parametrize("body", [{"id": 5}, {"id": ""}, {"id": "x" * 151}])
def test_an_id_attribute_must_be_a_text_of_150_bytes(track: Track, body: dict[str, object]) -> None:
    """Anything else is 400."""
    answer = track.put("/api/v1/customers/u1", body)
    assert answer.status_code == 400
    assert "id" in answer.json()["meta"]["errors"][0]


def test_update_creates_nobody(track: Track) -> None:
    """_update: true changes somebody, and is no attribute."""
    track.identify("u1", _update=True, plan="pro")
    outcome, reason = track.last()
    assert (outcome, track.find(id="u1")) == ("dropped", None)
    assert "_update" in reason
    track.identify("u1", plan="free")
    track.identify("u1", _update=True, plan="pro")
    assert track.attributes(id="u1") == {"plan": "pro"}


def test_v2_identifies_by_phone_and_by_cio_id_without_prefix(track: Track) -> None:
    """A cio_id with its prefix is unknown there, and the log says why."""
    assert track.person_op("identify", {"phone": "+4930123"}, attributes={"n": 1}).json() == {}
    cio_id = track.person(phone="+4930123")["cio_id"]
    track.person_op("identify", {"cio_id": cio_id}, attributes={"n": 2})
    assert track.attributes(phone="+4930123")["n"] == 2
    track.person_op("identify", {"cio_id": f"cio_{cio_id}"}, attributes={"n": 3})
    assert "without cio_" in track.last()[1]
    assert track.attributes(phone="+4930123")["n"] == 2


def test_v2_takes_numbers_as_ids(track: Track) -> None:
    """They are texts from then on."""
    assert track.person_op("identify", {"id": 42}, attributes={"n": 1}).status_code == 200
    assert track.person(id="42")["id"] == "42"


@pytest.mark.parametrize(
    ("identifiers", "field"),
    [
        (None, "identifiers"),
        ({}, "identifiers"),
        ("u1", "identifiers"),
        ({"id": "u1", "email": "a@b.co"}, "identifiers"),
        ({"user": "u1"}, "identifiers"),
        ({"anonymous_id": "a"}, "identifiers"),
        ({"id": ""}, "identifiers.id"),
        ({"id": True}, "identifiers.id"),
        ({"id": {"a": 1}}, "identifiers.id"),
        ({"phone": "030"}, "identifiers.phone"),
        ({"phone": "+1234567890123456"}, "identifiers.phone"),
        ({"email": None}, "identifiers.email"),
    ],
)
def test_v2_wants_exactly_one_identifier(track: Track, identifiers: object, field: str) -> None:
    """The error names the field."""
    answer = track.person_op("identify", identifiers)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert set(error) == {"reason", "field", "message"}
