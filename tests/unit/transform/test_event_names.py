"""How events are named, and white space around a name. Rules 5.3, 5.4, 5.5."""

from typing import Any

import pytest

from .api_versions import v1_body, v2_item
from .support import of_type, refusal_of, request_of, row, text_of_bytes, track

AROUND = [" ", "\t", "\r\n", "\u00a0", "\u3000", "\u2029", " \n "]
WARNING = "WHITE_SPACE_REMOVED"
# In the order of rule 5.3.
PLACES = [
    ("name",),
    ("properties", "url"),
    ("properties", "path"),
    ("context", "page", "url"),
    ("context", "page", "path"),
    ("properties", "title"),
    ("context", "page", "title"),
]
NO_NAMES: list[object] = [None, "", " ", "\u3000\n", 7, True, {}, ["x"]]


def page_named_at(*places: tuple[str, ...], by: object = "") -> dict[str, Any]:
    """A page with the text of each place's own path there, or with another value."""
    event: dict[str, Any] = of_type("page", userId="u", name=None)
    for place in places:
        inner = event
        for step in place[:-1]:
            inner = inner.setdefault(step, {})
        inner[place[-1]] = by if by != "" else ".".join(place)
    return event


@pytest.mark.parametrize("first", range(len(PLACES)))
def test_5_3_a_page_is_named_by_the_first_of_seven_places(first: int) -> None:
    """With every later place filled too."""
    event = page_named_at(*PLACES[first:])
    assert v1_body(event)["name"] == ".".join(PLACES[first])
    assert v2_item(event)["name"] == ".".join(PLACES[first])


@pytest.mark.parametrize("none", NO_NAMES)
@pytest.mark.parametrize("place", range(len(PLACES) - 1))
def test_5_3_a_place_that_has_no_text_or_a_blank_one_is_passed_over(
    place: int, none: object
) -> None:
    """The next one counts, without a warning."""
    event = page_named_at(PLACES[place + 1])
    inner = event
    for step in PLACES[place][:-1]:
        inner = inner.setdefault(step, {})
    inner[PLACES[place][-1]] = none
    assert v1_body(event)["name"] == ".".join(PLACES[place + 1])


@pytest.mark.parametrize("none", NO_NAMES)
def test_5_3_a_page_without_any_of_them_has_no_name(none: object) -> None:
    """Nor are other members tried."""
    event = page_named_at(*PLACES, by=none if none != "" else "\t")
    event["event"] = "e"
    assert refusal_of(event) == "MISSING_EVENT_NAME"


@pytest.mark.parametrize("page", [None, "https://a.example", [], ["x"], 7, {"page": {"url": "x"}}])
def test_5_3_a_context_page_that_is_odd_is_passed_over(page: object) -> None:
    """Rule 1.5: it names nothing."""
    event = page_named_at(("properties", "title"))
    event["context"] = {"page": page}
    assert v1_body(event)["name"] == "properties.title"


@pytest.mark.parametrize("space", AROUND)
@pytest.mark.parametrize(
    ("event", "name"),
    [
        (lambda name: track(event=name), "Paid"),
        (lambda name: of_type("page", userId="u", name=name), "Paid"),
        (lambda name: of_type("page", userId="u", name=" ", properties={"url": name}), "Paid"),
        (lambda name: of_type("screen", userId="u", event=name), "Viewed Paid Screen"),
        (
            lambda name: of_type("screen", userId="u", name=None, properties={"name": name}),
            "Viewed Paid Screen",
        ),
        (lambda name: of_type("screen", userId="u", name=name), "Viewed Paid Screen"),
        (lambda name: of_type("track", anonymousId="a", event=name), "Paid"),
    ],
    ids=[
        "track",
        "page",
        "page-url",
        "screen-event",
        "screen-property",
        "screen-name",
        "anonymous",
    ],
)
def test_5_5_white_space_around_a_name_is_taken_off_with_a_warning(
    event: Any, name: str, space: str
) -> None:
    """Of a screen: around its own part. White space inside stays."""
    for written in (f"{space}Paid", f"Paid{space}", f"{space}Paid{space}"):
        assert v1_body(event(written), WARNING)["name"] == name
        assert v2_item(event(written), WARNING)["name"] == name
    inside = f"Pa{space}id"
    assert v1_body(event(inside))["name"] == name.replace("Paid", inside)


def test_5_5_of_the_row_of_an_event_too() -> None:
    """Rule 9.3."""
    event = row(id="u", name=" Paid ")
    assert v1_body(event, WARNING, connection={"object": "event"})["name"] == "Paid"


@pytest.mark.parametrize("none", NO_NAMES)
@pytest.mark.parametrize("sort", ["track", "screen", "row"])
def test_5_5_a_name_that_is_missing_blank_or_no_text_is_refused(sort: str, none: object) -> None:
    """`MISSING_EVENT_NAME`."""
    event = of_type(sort, userId="u", event=none, name=none)
    connection = None
    if sort == "row":
        event, connection = row(id="u", name=none), {"object": "event"}
    for api_version in ("v1", "v2"):
        refusal = refusal_of(event, connection=connection, apiVersion=api_version)
        assert refusal == "MISSING_EVENT_NAME"


@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
def test_5_5_a_name_has_100_bytes_after_white_space_is_taken_off(letter: str) -> None:
    """White space is not counted; a longer name is cut at a code point, with a warning of its own."""
    fitting = text_of_bytes(100, letter)
    cut = text_of_bytes(97, letter)
    for api_version in ({"apiVersion": "v1"}, {"apiVersion": "v2"}):
        for kind, member in (("track", "event"), ("page", "name")):
            event = of_type(kind, userId="u") | {member: f"  {fitting}  "}
            assert name_of(event, WARNING, **api_version) == fitting
            event[member] = f" {cut}{letter}{letter}{letter}zzz"
            kept = name_of(event, WARNING, "EVENT_NAME_CUT", **api_version)
            assert 96 < len(kept.encode()) <= 100
            assert (cut + letter * 3).startswith(kept)


@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
def test_5_5_in_a_screen_s_name_only_its_own_part_is_cut(letter: str) -> None:
    """`Viewed X Screen` has 100 bytes with 86 of X."""
    fitting = text_of_bytes(86, letter)
    event = of_type("screen", userId="u", event=f" {fitting} ")
    assert name_of(event, WARNING) == f"Viewed {fitting} Screen"
    kept = name_of(event | {"event": fitting + letter}, "EVENT_NAME_CUT")
    assert kept.startswith("Viewed ")
    assert kept.endswith(" Screen")
    assert fitting.startswith(kept.removeprefix("Viewed ").removesuffix(" Screen"))
    assert 96 < len(kept.encode()) <= 100


def name_of(event: dict[str, Any], *warnings: str, **config: Any) -> str:
    """The name as sent."""
    body = request_of(event, *warnings, **config)["body"]
    return str((body["batch"][0] if "batch" in body else body)["name"])


DEVICE = {"context": {"device": {"token": "t", "type": "ios"}}}


@pytest.mark.parametrize("space", AROUND)
@pytest.mark.parametrize(
    "name",
    [
        "Application Opened",
        "Application Installed",
        "Application Uninstalled",
        "Token",
        "User Deleted",
    ],
)
def test_5_5_what_a_name_means_is_decided_as_it_is_written(name: str, space: str) -> None:
    """6.1, 6.4 and 13.2 take no white space off: an ordinary event, with the warning."""
    config: dict[str, Any] = {"deviceTokenEventName": "Token", "semanticEvents": True}
    event = track(event=name + space, **DEVICE)
    request = request_of(event, WARNING, **config)
    assert (request["endpoint_path"], request["body"]["name"]) == ("v1/customers/events", name)
    assert (
        request_of(track(event=name, **DEVICE), **config)["endpoint_path"] != "v1/customers/events"
    )


def test_5_5_a_configured_name_with_white_space_is_compared_as_written() -> None:
    """A device event may be named so (6.1)."""
    event = track(event=" Token ", **DEVICE)
    request = request_of(event, deviceTokenEventName=" Token ")
    assert request["endpoint_path"] == "v1/customers/devices"


def test_5_6_the_event_s_id_is_of_the_name_as_sent() -> None:
    """White space around it makes no other event."""
    known = {"messageId": "m", "timestamp": "2024-01-02T03:04:05Z"}
    padded = v1_body(track(event=" Paid ", **known), WARNING)
    assert padded["id"] == v1_body(track(event="Paid", **known))["id"]
