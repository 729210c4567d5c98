"""Customer.io's limits on attributes, to the byte. Rule 4.9."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.transform.support import (
    attributes_of,
    body_of,
    group,
    identify,
    item_of,
    text_of_bytes,
    track,
)

LETTERS = ["a", "é", "日", "😀"]


def person(attributes: dict[str, Any] | bytes, *warnings: str) -> Any:
    """What a person with these traits gets."""
    event: Any = identify(traits=attributes) if isinstance(attributes, dict) else attributes
    return attributes_of(event, *warnings)


def person_by_user_properties(attributes: dict[str, Any], *warnings: str) -> Any:
    """What a person with these user_properties gets."""
    return attributes_of(identify(user_properties=attributes), *warnings)


def item(attributes: dict[str, Any], *warnings: str) -> Any:
    """What an object with these traits gets."""
    return item_of(group(traits=attributes), *warnings)["attributes"]


def device(attributes: dict[str, Any], *warnings: str) -> Any:
    """What a device with these properties gets."""
    context = {"device": {"token": "t", "type": "ios"}}
    event = track(event="Application Opened", context=context, properties=attributes)
    return body_of(event, *warnings)["device"].get("attributes", {})


Reader = Callable[..., Any]
ALL = [person, person_by_user_properties, item, device]
WITH_OBJECTS = [person, person_by_user_properties, item]


@pytest.mark.parametrize("of", ALL)
@pytest.mark.parametrize("letter", LETTERS)
def test_4_9_a_name_of_150_bytes_stays_and_one_of_151_is_left_out(of: Reader, letter: str) -> None:
    """An attribute whose name has over 150 bytes of UTF-8 is left out with a warning."""
    good, bad = text_of_bytes(150, letter), text_of_bytes(151, letter)
    assert of({good: "x", "a": "y"}) == {good: "x", "a": "y"}
    assert of({bad: "x", "a": "y"}, "ATTRIBUTE_NAME_TOO_LONG") == {"a": "y"}


def test_4_9_a_name_is_measured_without_its_escapes() -> None:
    r"""A name written \u00e9 counts two bytes for it, not six."""
    event = b'{"type":"identify","userId":"u","traits":{"%b":1,"%b":2}}'
    good, bad = b"\\u00e9" * 75, b"\\u00e9" * 75 + b"a"
    attributes = attributes_of(event % (good, bad), "ATTRIBUTE_NAME_TOO_LONG")
    assert attributes == {"é" * 75: 1}


@pytest.mark.parametrize("of", ALL)
@pytest.mark.parametrize("letter", LETTERS)
def test_4_9_a_text_of_1000_bytes_stays_and_one_of_1001_is_cut(of: Reader, letter: str) -> None:
    """A text over 1000 bytes of UTF-8 is cut at a code point, with a warning."""
    good = text_of_bytes(1000, letter)
    assert of({"k": good}) == {"k": good}
    attributes = of({"k": good + "z"}, "TEXT_CUT")
    assert attributes == {"k": good}
    size = len(letter.encode())
    crossing = "a" * (1001 - size) + letter
    assert of({"k": crossing}, "TEXT_CUT") == {"k": crossing[:-1]}


@pytest.mark.parametrize(
    ("escape", "letter"),
    [
        (b"\\u00e9", "é"),
        (b"\\u65E5", "日"),
        (b"\\ud83d\\ude00", "😀"),
        (b"\\/", "/"),
        (b'\\"', '"'),
        (b"\\\\", "\\"),
        (b"\\n", "\n"),
        (b"\\u0001", "\x01"),
        (b"\\u0061", "a"),
    ],
    ids=ascii,
)
def test_4_9_a_text_is_measured_by_its_characters(escape: bytes, letter: str) -> None:
    """Escapes, necessary or not, do not count: the characters do."""
    fitting = 1000 // len(letter.encode())
    event = b'{"type":"identify","userId":"u","traits":{"k":"%b"}}'
    rest = b"b" * (1000 - fitting * len(letter.encode()))
    good = escape * fitting + rest
    whole = letter * fitting + rest.decode()
    assert attributes_of(event % good) == {"k": whole}
    assert attributes_of(event % (good + b"b"), "TEXT_CUT") == {"k": whole}


def test_4_9_a_repaired_surrogate_counts_three_bytes() -> None:
    """Half of an emoji is measured as the U+FFFD that it becomes."""
    event = b'{"type":"identify","userId":"u","traits":{"k":"%b\\ud83d"}}'
    attributes = attributes_of(event % (b"a" * 997), "LONE_SURROGATE")
    assert attributes == {"k": "a" * 997 + "\ufffd"}
    attributes = attributes_of(event % (b"a" * 998), "LONE_SURROGATE", "TEXT_CUT")
    assert attributes == {"k": "a" * 998}


def of_compact_size(size: int, letter: str, *, array: bool) -> Any:
    """An object or array of so many bytes as compact JSON."""
    around = len('["",[1.5,null,{}]]') if array else len('{"é":"","n":[1.5,null]}'.encode())
    text = text_of_bytes(size - around, letter)
    return [text, [1.5, None, {}]] if array else {"é": text, "n": [1.5, None]}


@pytest.mark.parametrize("of", WITH_OBJECTS)
@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("array", [False, True], ids=["object", "array"])
def test_4_9_an_object_of_1000_bytes_stays_and_one_of_1001_is_left_out(
    of: Reader, letter: str, *, array: bool
) -> None:
    """An object or array over 1000 bytes of compact JSON is left out with a warning."""
    good = of_compact_size(1000, letter, array=array)
    bad = of_compact_size(1001, letter, array=array)
    assert of({"k": good, "a": 1}) == {"k": good, "a": 1}
    assert of({"k": bad, "a": 1}, "VALUE_TOO_LARGE") == {"a": 1}


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (b"a", 1),
        ("é".encode(), 2),
        (b"\\u00e9", 2),
        (b"\\u65e5", 3),
        (b"\\ud83d\\ude00", 4),
        (b"\\/", 1),
        (b"\\u002F", 1),
        (b"\\u007f", 1),
        (b"\\u2028", 3),
        (b'\\"', 2),
        (b"\\u0022", 2),
        (b"\\\\", 2),
        (b"\\n", 2),
        (b"\\u000a", 2),
        (b"\\u0008", 2),
        (b"\\u0001", 6),
        (b"\\u001F", 6),
    ],
    ids=ascii,
)
def test_4_9_an_object_is_measured_with_the_necessary_escapes_only(
    written: bytes, size: int
) -> None:
    """Needless escapes count as the characters they stand for, needful ones in their short form."""
    times = 960 // size
    rest = b"b" * (1000 - times * size - len('{"":[""]}'))
    event = b'{"type":"identify","userId":"u","traits":{"k":{ "" :\n[ "%b" ] } , "a":1}}'
    good = attributes_of(event % (written * times + rest))
    assert good["a"] == 1
    assert len(good["k"][""][0]) >= len(rest) + times
    bad = attributes_of(event % (written * times + rest + b"b"), "VALUE_TOO_LARGE")
    assert bad == {"a": 1}


def test_4_9_numbers_in_an_object_count_as_they_are_written() -> None:
    """Digits are passed on as they came, and so they count."""
    event = b'{"type":"identify","userId":"u","traits":{"k":[%b]}}'
    assert attributes_of(event % (b"1" * 998)) == {"k": [int("1" * 998)]}
    assert attributes_of(event % (b"1" * 999), "VALUE_TOO_LARGE") == {}


def test_4_9_a_number_has_no_limit_of_its_own() -> None:
    """Only texts, objects and arrays are limited."""
    event = b'{"type":"identify","userId":"u","traits":{"k":%b}}' % (b"1" * 3000)
    assert attributes_of(event) == {"k": int("1" * 3000)}


def test_4_9_the_rest_of_an_address_is_limited_like_others() -> None:
    """What stays as `address`, and what moves up, are attributes like others."""
    event = identify(traits={"address": {"zip": "x" * 1000, "city": "c" * 1001}})
    attributes = attributes_of(event, "TEXT_CUT", "VALUE_TOO_LARGE")
    assert attributes == {"city": "c" * 1000}


@pytest.mark.parametrize("of", WITH_OBJECTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", "é" * 2000),
        ("email", {"a": "x" * 2000}),
        ("phone", "é" * 2000),
        ("phone", ["x" * 2000]),
        ("cio_subscription_preferences", {"topics": {"x" * 2000: True}}),
        (
            "cio_relationships",
            {
                "action": "add_relationships",
                "relationships": [
                    {"identifiers": {"object_type_id": "1", "object_id": "x" * 2000}}
                ],
            },
        ),
    ],
)
def test_4_9_reserved_names_have_no_limit_of_value(of: Reader, name: str, value: Any) -> None:
    """What Customer.io itself reads goes out whole."""
    assert of({name: value}) == {name: value}


@pytest.mark.parametrize("of", ALL)
def test_4_9_300_attributes_stay_and_the_301st_is_left_out(of: Reader) -> None:
    """Of more than 300 attributes the last are left out, with one warning."""
    many = {f"k{number}": "v" for number in range(303)}
    first = dict(list(many.items())[:300])
    assert of(first) == first
    assert of(many, "TOO_MANY_ATTRIBUTES") == first


@pytest.mark.parametrize("of", ALL)
def test_4_9_reserved_names_go_first(of: Reader) -> None:
    """A reserved name at the end of 300 others takes the place of the last of them."""
    many = {f"k{number}": "v" for number in range(300)} | {"phone": "1", "email": "a@b.co"}
    expected = {name: many[name] for name in many if name not in ("k298", "k299")}
    assert of(many, "TOO_MANY_ATTRIBUTES") == expected


def test_4_9_the_order_is_address_traits_user_properties() -> None:
    """Beyond 300 the user_properties go first, then the traits from their end."""
    traits = {f"k{number}": 1 for number in range(299)} | {"address": {"city": "C", "zip": 1}}
    user_properties = {"extra": 1, "unsubscribed": True}
    event = identify(traits=traits, user_properties=user_properties, anonymousId="a", timestamp=1e9)
    attributes = body_of(event, "TOO_MANY_ATTRIBUTES")
    left_out = set(traits) - set(attributes)
    assert len(attributes) == 300
    assert {"city", "address", "unsubscribed", "anonymous_id", "created_at", "_timestamp"} <= set(
        attributes
    )
    assert left_out == {"k294", "k295", "k296", "k297", "k298"}
    assert "extra" not in attributes


def test_4_9_what_is_left_out_otherwise_does_not_count() -> None:
    """Only attributes that are left count towards the 300."""
    many = {f"k{number}": 1 for number in range(299)}
    gone = {"n" * 151: 1, "big": ["x" * 1000], "unsubscribed": "?", "id": "v", "userId": 1}
    codes = ["ATTRIBUTE_NAME_TOO_LONG", "VALUE_TOO_LARGE"]
    codes += ["UNSUBSCRIBED_LEFT_OUT", "ID_ATTRIBUTE_LEFT_OUT"]
    assert person(gone | many | {"last": 1}, *codes) == many | {"last": 1}


def test_4_9_each_breach_is_a_warning() -> None:
    """Two texts that are cut are two warnings."""
    attributes = person({"a": "x" * 1001, "b": "y" * 2000, "c": 1}, "TEXT_CUT", "TEXT_CUT")
    assert attributes == {"a": "x" * 1000, "b": "y" * 1000, "c": 1}


def test_4_9_vast_numbers_of_a_device_are_texts_and_cut() -> None:
    """A device's number is a text, and has a text's limit."""
    context = {"device": {"token": "t", "type": "ios"}}
    event = track(event="Application Opened", context=context, properties={"n": 0})
    raw = json.dumps(event).encode().replace(b'"n": 0', b'"n": ' + b"7" * 1001)
    body = body_of(raw, "TEXT_CUT")
    assert body["device"]["attributes"] == {"n": "7" * 1000}
