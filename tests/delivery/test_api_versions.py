"""Both API versions mean the same: the same events, through v1 and v2, leave the same behind."""

import random
from typing import Any

import pytest

from .sandbox_state import state_after

PEOPLE = 60


def thousand_events() -> list[dict[str, Any]]:
    """What sixty people do, under user ids, emails and anonymous ids."""
    dice = random.Random(20260304)
    found = []
    # Everybody is there first: whom a merge or a relationship names must exist.
    for person in range(PEOPLE):
        email = {"email": f"person{person}@example.com"}
        found.append(_event(dice, person, "identify", traits=email | {"plan": "basic"}))
    while len(found) < 1000:
        person = dice.randrange(PEOPLE)
        found.append(dice.choice(_KINDS)(dice, person))
    for index, event in enumerate(found):
        event["messageId"] = f"message-{index}"
        event["originalTimestamp"] = f"2026-03-04T05:{index // 60:02}:{index % 60:02}.000Z"
    return found


def _event(dice: random.Random, person: int, kind: str, **members: Any) -> dict[str, Any]:
    known_by: dict[str, Any] = {"userId": f"user-{person}"}
    if dice.random() < 0.3:
        known_by["anonymousId"] = f"anonymous-{person}"
    return {"type": kind, **known_by, **members}


def _identify(dice: random.Random, person: int) -> dict[str, Any]:
    traits = {
        "plan": dice.choice(["basic", "pro", None, ""]),
        "orders": dice.randrange(10**18),
        "dotted.name": dice.random(),
        "address": {"city": dice.choice(["Delft", "Łódź"]), "zip": "01234"},
        "unsubscribed": dice.choice([True, False, "yes"]),
        "tags": ["a", dice.randrange(9)],
        "createdAt": "2025-01-02T03:04:05Z",
        "long": "é" * dice.choice([10, 499, 501, 700]),
    }
    names = dice.sample(sorted(traits), dice.randrange(1, len(traits)))
    return _event(dice, person, "identify", traits={name: traits[name] for name in names})


def _track(dice: random.Random, person: int) -> dict[str, Any]:
    properties = {"total": dice.randrange(10**6) / 100, "products": [{"sku": "1", "n": 2}]}
    return _event(dice, person, "track", event="Order Completed", properties=properties)


def _track_by_email(dice: random.Random, person: int) -> dict[str, Any]:
    found = _event(dice, person, "track", event="Mail Opened", properties={"n": 1})
    del found["userId"]
    return found | {"context": {"traits": {"email": f"person{person}@example.com"}}}


def _anonymous(dice: random.Random, person: int) -> dict[str, Any]:
    return {"type": "track", "anonymousId": f"visitor-{person}", "event": "Visited"}


def _page(dice: random.Random, person: int) -> dict[str, Any]:
    return _event(dice, person, "page", name="Home", properties={"url": "https://shop.example/"})


def _screen(dice: random.Random, person: int) -> dict[str, Any]:
    return _event(dice, person, "screen", event="Cart", properties={"items": 3})


def _device(dice: random.Random, person: int) -> dict[str, Any]:
    device = {
        "token": f"token-{person}-{dice.randrange(2)}",
        "type": dice.choice(["ios", "Android"]),
    }
    event = dice.choice(["Application Opened", "Token Registered", "Application Uninstalled"])
    return _event(
        dice, person, "track", event=event, properties={"build": "7"}, context={"device": device}
    )


def _group(dice: random.Random, person: int) -> dict[str, Any]:
    traits = {"name": "ACME", "seats": dice.randrange(100)}
    return _event(dice, person, "group", groupId=f"company-{person % 20}", traits=traits)


def _alias(dice: random.Random, person: int) -> dict[str, Any]:
    # Each merges a number of its own, so that nobody is merged twice or in a circle.
    return _event(dice, person, "alias", previousId=f"former-{person}")


_KINDS = (
    *(_track,) * 5,
    *(_identify,) * 4,
    *(_page, _screen, _device, _group, _track_by_email, _anonymous, _alias),
)


def test_a_thousand_events_leave_the_same_behind_in_both_api_versions() -> None:
    """People, their attributes, devices, relationships and events, and objects: all equal."""
    events = thousand_events()
    one, two = state_after(events, "v1"), state_after(events, "v2")
    assert one["objects"] == two["objects"]
    assert one["people"].keys() == two["people"].keys()
    for person, known in one["people"].items():
        assert known == two["people"][person], person
    assert len(one["people"]) >= PEOPLE
    assert len(one["objects"]) == 20
    assert sum(len(known["events"]) for known in one["people"].values()) > 400


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_every_kind_of_event_is_among_them(api_version: str) -> None:
    """The comparison is of something: each kind leaves its mark."""
    dice = random.Random(1)
    found = state_after(
        [kind(dice, 1) | {"messageId": kind.__name__} for kind in dict.fromkeys(_KINDS)],
        api_version,
    )
    known = found["people"]["user-1"]
    assert known["relationships"]
    assert len(known["events"]) >= 3


def _row(action: str, **identifiers: Any) -> dict[str, Any]:
    row = {"type": "record", "action": action, "identifiers": identifiers}
    return row | {"messageId": f"{action}-{sorted(identifiers.items())}"}


ROWS = {
    "person": [
        *(_row("insert", id=f"u{n}", plan="pro", created_at=1_772_500_000) for n in range(30)),
        *(_row("update", id=f"u{n}", plan="basic", created_at=1_772_600_000) for n in range(20)),
        *(_row("delete", id=f"u{n}") for n in range(10)),
    ],
    "event": [
        _row("insert", id=f"u{n % 10}", name="Invoice Paid", total=n, created_at=1_772_600_000 + n)
        for n in range(50)
    ],
}


@pytest.mark.parametrize("kind", ROWS)
def test_warehouse_rows_leave_the_same_behind_in_both_api_versions(kind: str) -> None:
    """People inserted, updated and deleted; events of people."""
    one, two = (state_after(ROWS[kind], version, {"object": kind}) for version in ("v1", "v2"))
    assert one == two
    if kind == "person":
        assert sorted(one["people"]) == sorted(f"u{n}" for n in range(10, 30))
        plans = {known["attributes"]["plan"] for known in one["people"].values()}
        assert plans == {"basic", "pro"}
    else:
        assert sum(len(known["events"]) for known in one["people"].values()) == 50


def test_rows_of_an_audience_leave_the_same_behind_in_both_api_versions() -> None:
    """Whoever was inserted last is in the segment; whoever was deleted last is not."""
    rows = [{"type": "identify", "userId": f"u{n}", "traits": {}} for n in range(20)]
    rows += [_row("insert", id=f"u{n}") for n in range(20)]
    rows += [_row("delete", id=f"u{n}") for n in range(10)]
    rows += [_row("insert", id=f"u{n}") for n in range(5)]
    one, two = (state_after(rows, version, {"audienceId": 7}) for version in ("v1", "v2"))
    assert one["people"].keys() == two["people"].keys()
    for person, known in one["people"].items():
        assert known["segments"] == two["people"][person]["segments"]
    within = sorted(person for person, known in one["people"].items() if known["segments"])
    assert within == sorted(f"u{n}" for n in (*range(5), *range(10, 20)))
