"""Ids: which are usable, how long, and how they stand in URLs and bodies. Rules 2.1, 2.2, 3.6, 3.7."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.transform.support import (
    attributes_of,
    body_of,
    group,
    identify,
    item_of,
    of_type,
    refusal_of,
    request_of,
    text_of_bytes,
    track,
)

USABLE = [
    (b'"u"', "u"),
    (b'" u "', " u "),
    ('"\u200b"'.encode(), "\u200b"),
    (b'"\\u001c"', "\x1c"),
    (b'"0"', "0"),
    (b'"NULL"', "NULL"),
    (b'" null"', " null"),
    (b"12345", "12345"),
    (b"-7", "-7"),
    (b"7.5", "7.5"),
    (b"5.0", "5"),
    (b"1e3", "1000"),
    (b"1E-7", "0.0000001"),
    (b"0.1000", "0.1"),
    (b"1e20", "100000000000000000000"),
    (b"9007199254740993", "9007199254740993"),
    (b"1000000000000000000000", "1000000000000000000000"),
    (b"-12345678901234567890123", "-12345678901234567890123"),
    (b"9" * 150, "9" * 150),
]
ABSENT = [b"null", b'""', b'" "', b'"\\t\\n"', '"\u3000\u0085\u00a0"'.encode()]
ABSENT += [b"0", b"-0", b"0.0", b"-0.0", b"0e9"]
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
SPACES += "".join(map(chr, range(0x2000, 0x200B)))
WRONG = [b"true", b"false", b"{}", b"[]", b'["u"]', b"1e21", b"-1e21", b"1.5e300", b"1e400"]
TYPES = ["track", "page", "screen"]


@pytest.mark.parametrize(("raw", "text"), USABLE, ids=[str(raw[:24]) for raw, _ in USABLE])
def test_2_1_usable_ids_become_text(raw: bytes, text: str) -> None:
    """Texts are kept untrimmed; numbers other than 0 are written as plain decimals."""
    event = b'{"type":"alias","userId":%b,"previousId":"p"}'
    assert body_of(event % raw)["primary"] == {"id": text}
    assert body_of(b'{"type":"alias","userId":"p","previousId":%b}' % raw)["secondary"] == {
        "id": text
    }
    assert body_of(b'{"type":"track","event":"e","anonymousId":%b}' % raw)["anonymous_id"] == text
    for place in (b'"groupId":%b', b'"traits":{"groupId":%b}'):
        assert item_of(b'{"type":"group",%b}' % (place % raw))["identifiers"]["object_id"] == text


@pytest.mark.parametrize("raw", ABSENT, ids=str)
def test_2_1_null_blank_and_0_are_absent(raw: bytes) -> None:
    """null, "", white space and 0 count as no id at all."""
    assert refusal_of(
        b'{"type":"track","event":"e","userId":%b,"anonymousId":%b}' % (raw, raw)
    ) == ("MISSING_IDENTITY")
    assert refusal_of(b'{"type":"alias","userId":"u","previousId":%b}' % raw) == "MISSING_IDENTITY"
    assert refusal_of(b'{"type":"group","groupId":%b}' % raw) == "MISSING_GROUP_ID"
    event = b'{"type":"identify","userId":"u","anonymousId":%b}' % raw
    assert attributes_of(event) == {}


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_2_1_every_white_space_of_unicode_is_blank(space: str) -> None:
    """A text of nothing but White_Space is no id and no name; a letter beside it makes it one."""
    assert refusal_of({"type": "track", "event": "e", "userId": space}) == "MISSING_IDENTITY"
    assert refusal_of(track(event=space)) == "MISSING_EVENT_NAME"
    assert body_of(of_type("track", anonymousId=space + "x"))["anonymous_id"] == space + "x"


@pytest.mark.parametrize("raw", WRONG, ids=str)
@pytest.mark.parametrize(
    "event",
    [
        b'{"type":"identify","userId":%b}',
        b'{"type":"track","event":"e","userId":%b,"anonymousId":"a"}',
        b'{"type":"page","name":"n","userId":%b}',
        b'{"type":"screen","name":"n","userId":%b}',
        b'{"type":"alias","userId":%b,"previousId":"p"}',
        b'{"type":"alias","userId":"u","previousId":%b}',
        b'{"type":"group","groupId":%b,"traits":{"groupId":"g"}}',
        b'{"type":"group","groupId":"g","userId":%b}',
        b'{"type":"identify","anonymousId":%b,"traits":{"email":"a@b.co"}}',
        b'{"type":"track","event":"e","anonymousId":%b}',
        b'{"type":"page","name":"n","anonymousId":%b}',
        b'{"type":"screen","name":"n","anonymousId":%b}',
    ],
    ids=lambda event: event[9:40].decode(),
)
def test_2_1_any_other_type_is_an_invalid_id(event: bytes, raw: bytes) -> None:
    """Other JSON types, and numbers of 1e21 and more that are no integer literal, are refused."""
    assert refusal_of(event % raw) == "INVALID_ID"


@pytest.mark.parametrize("raw", [*WRONG, *ABSENT], ids=str)
def test_2_1_inside_traits_and_device_any_other_type_is_absent(raw: bytes) -> None:
    """What cannot be an id is passed over inside traits and device, without a word."""
    event = b'{"type":"track","event":"e","anonymousId":"a","traits":{"userId":%b,"id":%b}}'
    assert body_of(event % (raw, raw))["anonymous_id"] == "a"
    event = b'{"type":"track","event":"e","traits":{"userId":%b},"context":{"traits":{"id":"c"}}}'
    assert request_of(event % raw)["path"] == "/api/v1/customers/c/events"
    event = b'{"type":"group","traits":{"groupId":%b}}'
    assert refusal_of(event % raw) == "MISSING_GROUP_ID"
    event = b'{"type":"track","event":"Application Opened","userId":"u","context":{"device":{%b}}}'
    device = b'"type":"ios","token":%b' % raw
    assert request_of(event % device)["path"] == "/api/v1/customers/u/events"


@pytest.mark.parametrize("raw", [*WRONG, b'"%b"' % (b"a" * 151), b"9" * 5000], ids=lambda r: r[:9])
def test_2_1_an_anonymous_id_that_cannot_be_attached_is_left_out(raw: bytes) -> None:
    """An anonymousId that is only attached and cannot be sent is left out with a warning."""
    event = b'{"type":"identify","userId":"u","anonymousId":%b}' % raw
    assert attributes_of(event, "ANONYMOUS_ID_LEFT_OUT") == {}


LONG: dict[str, Callable[[str], dict[str, Any]]] = {
    "identify-userId": lambda id_: identify(userId=id_),
    "identify-traits.id": lambda id_: {"type": "identify", "traits": {"id": id_}},
    "identify-anonymousId": lambda id_: {"type": "identify", "anonymousId": id_},
    "track-userId": lambda id_: track(userId=id_, anonymousId="a"),
    "track-context.traits.userId": lambda id_: of_type("track", context={"traits": {"id": id_}}),
    "track-mapped": lambda id_: track(
        context={"mappedToDestination": True, "externalId": [{"id": id_}]}
    ),
    "device-userId": lambda id_: track(
        event="Application Opened",
        userId=id_,
        context={"device": {"token": "t", "type": "ios"}},
    ),
    "device-delete-userId": lambda id_: track(
        event="Application Uninstalled", userId=id_, context={"device": {"token": "t"}}
    ),
    "page-anonymousId": lambda id_: of_type("page", anonymousId=id_),
    "screen-userId": lambda id_: of_type("screen", userId=id_),
    "alias-userId": lambda id_: of_type("alias", userId=id_),
    "alias-previousId": lambda id_: of_type("alias", userId="u", previousId=id_),
    "group-groupId": lambda id_: group(groupId=id_),
    "group-traits.groupId": lambda id_: {"type": "group", "traits": {"groupId": id_}},
    "group-userId": lambda id_: group(userId=id_),
    "group-context.traits.id": lambda id_: of_type("group", context={"traits": {"id": id_}}),
}


@pytest.mark.parametrize("event", LONG.values(), ids=LONG)
@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
def test_2_2_an_id_of_150_bytes_is_good_and_one_of_151_is_refused(
    event: Callable[[str], dict[str, Any]], letter: str
) -> None:
    """Ids are measured in UTF-8 and never cut."""
    assert request_of(event(text_of_bytes(150, letter)))["raw"] is not None
    assert refusal_of(event(text_of_bytes(151, letter))) == "ID_TOO_LONG"


def test_2_2_a_number_of_5000_digits_is_too_long() -> None:
    """A vast integer is an id like others: too long, not a fault."""
    event = b'{"type":"track","event":"e","userId":%b}' % (b"9" * 5000)
    assert refusal_of(event) == "ID_TOO_LONG"


@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen", "group"])
@pytest.mark.parametrize("letter", ["a", "é"])
def test_2_2_an_email_that_addresses_a_person_has_the_same_limit(kind: str, letter: str) -> None:
    """A valid email of 151 bytes is refused where it would address somebody."""
    for size, good in ((150, True), (151, False)):
        email = text_of_bytes(40, letter) + "@" + "b" * (size - 45) + ".com"
        event = of_type(kind, context={"traits": {"email": email}})
        if good:
            assert request_of(event)["raw"]
        else:
            assert refusal_of(event) == "ID_TOO_LONG"


def test_2_2_device_tokens_have_no_limit() -> None:
    """A token of thousands of bytes goes out whole, in a body and in a path."""
    context = {"device": {"token": "t" * 4096, "type": "android"}}
    body = body_of(track(event="Application Opened", context=context))
    assert body["device"]["id"] == "t" * 4096
    gone = request_of(track(event="Application Uninstalled", context=context))
    assert gone["path"].endswith("/devices/" + "t" * 4096)


@pytest.mark.parametrize(
    ("identifier", "encoded"),
    [
        ("AZaz09-._~", "AZaz09-._~"),
        ("a/b", "a%2Fb"),
        ("a b+c", "a%20b%2Bc"),
        ("a%2Fb", "a%252Fb"),
        ("?#&=;,:@!$'()*[]", "%3F%23%26%3D%3B%2C%3A%40%21%24%27%28%29%2A%5B%5D"),
        ("é日😀", "%C3%A9%E6%97%A5%F0%9F%98%80"),
        ("\u0660\u00b2", "%D9%A0%C2%B2"),
        ("a\r\nb\0", "a%0D%0Ab%00"),
        ("...", "..."),
        ("../x", "..%2Fx"),
        ("jane+x@example.com", "jane%2Bx%40example.com"),
        ("cio_abc", "cio_abc"),
        ("v2/batch", "v2%2Fbatch"),
    ],
)
def test_3_6_ids_in_a_url_are_percent_encoded(identifier: str, encoded: str) -> None:
    """Everything but RFC 3986's unreserved characters is encoded, in every path."""
    person = f"/api/v1/customers/{encoded}"
    assert request_of(identify(userId=identifier))["path"] == person
    assert request_of(track(userId=identifier))["path"] == f"{person}/events"
    context = {"device": {"token": identifier, "type": "ios"}}
    add = track(event="Application Opened", userId=identifier, context=context)
    assert request_of(add)["path"] == f"{person}/devices"
    gone = track(event="Application Uninstalled", userId=identifier, context=context)
    assert request_of(gone)["path"] == f"{person}/devices/{encoded}"


@pytest.mark.parametrize("dots", [".", ".."])
def test_3_6_dot_segments_in_a_path_are_refused(dots: str) -> None:
    """An id or token `.` or `..` that would stand in a path is INVALID_ID."""
    assert refusal_of(identify(userId=dots)) == "INVALID_ID"
    assert refusal_of({"type": "identify", "anonymousId": dots}) == "INVALID_ID"
    for kind in TYPES:
        assert refusal_of(of_type(kind, userId=dots)) == "INVALID_ID"
    context = {"device": {"token": dots, "type": "ios"}}
    opened = track(event="Application Opened", context=context)
    assert body_of(opened)["device"]["id"] == dots
    assert refusal_of(opened | {"userId": dots}) == "INVALID_ID"
    assert refusal_of(opened | {"event": "Application Uninstalled"}) == "INVALID_ID"


@pytest.mark.parametrize("dots", [".", ".."])
def test_3_6_dot_segments_in_a_body_are_ids_like_others(dots: str) -> None:
    """Where no path is made of it, `..` is just a name."""
    assert body_of(of_type("track", anonymousId=dots))["anonymous_id"] == dots
    assert body_of(of_type("alias", userId=dots))["primary"] == {"id": dots}
    assert item_of(group(groupId=dots, userId=dots))["identifiers"]["object_id"] == dots


@pytest.mark.parametrize(
    ("identifier", "kind", "value"),
    [
        ("cio_03000001", "cio_id", "03000001"),
        ("cio_a@b.co", "cio_id", "a@b.co"),
        ("cio_cio_x", "cio_id", "cio_x"),
        ("cio_", "id", "cio_"),
        ("CIO_x", "id", "CIO_x"),
        ("cio-x", "id", "cio-x"),
        ("jane@example.com", "email", "jane@example.com"),
        ("Jane@Example.com", "email", "Jane@Example.com"),
        ("x@y", "id", "x@y"),
        (" jane@example.com", "id", " jane@example.com"),
        ("42", "id", "42"),
    ],
)
def test_3_7_merges_and_groups_name_the_kind_of_identifier(
    identifier: str, kind: str, value: str
) -> None:
    """`cio_…` is a cio_id without the prefix, an email an email, anything else an id."""
    assert body_of(of_type("alias", userId=identifier))["primary"] == {kind: value}
    body = body_of(of_type("alias", userId="u", previousId=identifier))
    assert body["secondary"] == {kind: value}
    item = item_of(group(userId=identifier))
    assert item["cio_relationships"] == [{"identifiers": {kind: value}}]
