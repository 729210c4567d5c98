"""Which texts are email addresses. Rule 2.3."""

import pytest

from tests.unit.transform.support import request_of

GOOD = [
    "jane@example.com",
    "a@b.co",
    "jane.doe+news@mail.example.co.uk",
    "!#$%&'*+/=?^_`{|}~-@example.com",
    "1@2.info",
    "JANE@EXAMPLE.COM",
    "jörg@exämple.de",
    "用户@例子.中国",
    "почта@пример.рф",
    "jane@example.xn--p1ai",
    "jane@xn--exmple-cua.de",
    "संपर्क@डाटामेल.भारत",
    "é" * 64 + "@example.com",
    "a" * 64 + "@example.com",
    "a@" + ".".join(["b" * 60] * 2) + ".com",
]
BAD = [
    "x@y",
    "a b@c.d",
    "a b@example.com",
    "jane",
    "jane@",
    "@example.com",
    "a@b@example.com",
    "jane@@example.com",
    ".a@example.com",
    "a.@example.com",
    "a..b@example.com",
    "a@example.c",
    "a@example.c0",
    "a@example.12",
    "a@127.0.0.1",
    "a@example.中",
    "a@example.中1",
    "a@example.xn-p1ai",
    "a@.com",
    "a@example..com",
    "a@example.com.",
    "a@exam ple.com",
    "jane@example.com\x1c",
    "ja\u00a0ne@example.com",
    "a" * 65 + "@example.com",
    "é" * 65 + "@example.com",
    "Jane <jane@example.com>",
    "mailto:jane@example.com",
    "",
]
BAD += [f"a{character}b@example.com" for character in '"(),:;<>[]\\']


@pytest.mark.parametrize("text", GOOD)
def test_2_3_an_email_address_addresses_a_person(text: str) -> None:
    """A valid email, letters of any script, is taken as it is written."""
    alias = {"type": "alias", "userId": "u", "previousId": text}
    assert request_of(alias)["body"]["secondary"] == {"email": text}
    event: dict[str, object] = {
        "type": "track",
        "event": "e",
        "anonymousId": "a",
        "properties": {"email": text},
    }
    assert request_of(event)["endpoint_path"] == "v1/customers/events"


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_2_3_anything_else_is_no_email(text: str) -> None:
    """What is no email address does not address anybody as one."""
    event: dict[str, object] = {
        "type": "track",
        "event": "e",
        "anonymousId": "a",
        "properties": {"email": text},
    }
    assert request_of(event)["endpoint_path"] == "v1/events"


@pytest.mark.parametrize("value", [None, 5, True, [], ["a@b.co"], {"a": "a@b.co"}], ids=str)
def test_2_3_an_email_is_a_text(value: object) -> None:
    """Another JSON type is no email and does no harm."""
    event: dict[str, object] = {
        "type": "track",
        "event": "e",
        "anonymousId": "a",
        "traits": {"email": value},
    }
    assert request_of(event)["endpoint_path"] == "v1/events"


@pytest.mark.parametrize(("size", "is_email"), [(254, True), (255, False)])
@pytest.mark.parametrize("letter", ["b", "é"])
def test_2_3_an_email_has_254_characters_at_most(size: int, letter: str, *, is_email: bool) -> None:
    """The whole address is measured in characters; one more and it is none."""
    labels = [letter * 62, letter * 62, letter * 62]
    local = "a" * (size - sum(map(len, labels)) - len("@...com"))
    text = local + "@" + ".".join([*labels, "com"])
    assert len(text) == size
    event: dict[str, object] = {"type": "identify", "anonymousId": "a", "traits": {"email": text}}
    warnings = ["ANONYMOUS_WITH_EMAIL"] if is_email else []
    assert request_of(event, *warnings)["path"] == "/api/v1/customers/a"
