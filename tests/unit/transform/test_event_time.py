"""Which of an event's times is its own, and what becomes of one that is still to come. Rule 2.5."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    NOW,
    TIME,
    TIME_S,
    attributes_of,
    body_of,
    identify,
    item_of,
    row,
    row_in_v2,
    track,
)


@pytest.mark.parametrize(
    ("members", "warnings", "seconds"),
    [
        ({"timestamp": TIME, "originalTimestamp": "2020-01-01"}, [], TIME_S),
        ({"timestamp": None, "originalTimestamp": TIME}, [], TIME_S),
        ({"timestamp": "bad", "originalTimestamp": TIME}, ["UNUSABLE_TIME"], TIME_S),
        ({"timestamp": 1, "originalTimestamp": {}}, ["UNUSABLE_TIME"] * 2, None),
        ({"timestamp": TIME, "originalTimestamp": "bad"}, [], TIME_S),
        ({"sentAt": TIME, "receivedAt": TIME}, [], None),
    ],
    ids=["both", "original", "bad-first", "both-bad", "bad-second", "neither"],
)
@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen"])
def test_2_5_event_time_is_timestamp_or_else_original_timestamp(
    kind: str, members: dict[str, Any], warnings: list[str], seconds: int | None
) -> None:
    """The first usable of the two counts; what lies behind it is not read."""
    event = track(type=kind, name="n") | members
    body = body_of(event, *warnings, createdAtFallback="none")
    assert body.get("_timestamp" if kind == "identify" else "timestamp") == seconds


WAREHOUSE = {
    "context.timestamp": {"context": {"timestamp": TIME}},
    "context.traits.timestamp": {"context": {"traits": {"timestamp": TIME}}},
    "traits.timestamp": {"traits": {"timestamp": TIME}},
    "in-order": {
        "context": {"timestamp": TIME, "traits": {"timestamp": "2001-01-01"}},
        "traits": {"timestamp": "2002-01-01"},
    },
    "context-before-traits": {
        "context": {"traits": {"timestamp": TIME}},
        "traits": {"timestamp": "2002-01-01"},
    },
}


@pytest.mark.parametrize("members", WAREHOUSE.values(), ids=WAREHOUSE)
def test_2_5_warehouse_identifies_bring_their_own_time(members: dict[str, Any]) -> None:
    """For channel `sources` an identify's own columns come before `timestamp`."""
    event = identify(channel="sources", timestamp="2020-01-01", **members)
    assert body_of(event)["_timestamp"] == TIME_S


@pytest.mark.parametrize(("kind", "own"), [("track", True), ("page", False), ("screen", False)])
def test_2_5_warehouse_tracks_bring_their_own_time(kind: str, *, own: bool) -> None:
    """properties.timestamp counts for a track of channel `sources`, not for a page or screen."""
    event = track(type=kind, name="n", timestamp="2020-01-01", properties={"timestamp": TIME})
    assert body_of(event)["timestamp"] == 1577836800
    body = body_of(event | {"channel": "sources"})
    assert body["timestamp"] == (TIME_S if own else 1577836800)


def test_2_5_an_unusable_warehouse_time_warns_and_the_next_counts() -> None:
    """A column that is no time is skipped like any other time."""
    event = track(channel="sources", timestamp=TIME, properties={"timestamp": "bad"})
    assert body_of(event, "UNUSABLE_TIME")["timestamp"] == TIME_S


@pytest.mark.parametrize("kind", ["identify", "track"])
def test_2_5_mapped_rows_do_not_bring_their_own_time(kind: str) -> None:
    """A mapped event of channel `sources` has the time of every other event."""
    context = {"mappedToDestination": True, "externalId": [{"id": "x"}], "timestamp": "2001-01-01"}
    event = track(type=kind, channel="sources", timestamp=TIME, context=context)
    body = body_of(event | {"properties": {"timestamp": "bad"}})
    assert body["_timestamp" if kind == "identify" else "timestamp"] == TIME_S


AHEAD = [
    (NOW + 3600, NOW + 3600),
    (NOW + 3601, None),
    ((NOW + 3600) * 1000 + 999, NOW + 3600),
    ("2031-03-04T00:00:00Z", None),
    ("9999-12-31", None),
    (99_999_999_999, None),
]


@pytest.mark.parametrize(("time", "seconds"), AHEAD)
@pytest.mark.parametrize("field", ["timestamp", "originalTimestamp"])
@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_2_5_a_time_more_than_an_hour_ahead_is_left_out(
    version: str, kind: str, field: str, time: object, seconds: int | None
) -> None:
    """With a warning, in both API versions; to the second."""
    event = track(type=kind, name="n") | {field: time}
    warnings = [] if seconds else ["FUTURE_TIME"]
    settings = {"createdAtFallback": "none", "apiVersion": version}
    if version == "v2":
        sent = item_of(event, *warnings, **settings).get("timestamp")
    else:
        name = "_timestamp" if kind == "identify" else "timestamp"
        sent = body_of(event, *warnings, **settings).get(name)
    assert sent == seconds


def test_2_5_a_time_ahead_decides_all_the_same() -> None:
    """The time that stands behind it is not tried in its place, and not warned of."""
    event = track(timestamp=NOW + 3601, originalTimestamp="bad")
    assert "timestamp" not in body_of(event, "FUTURE_TIME")
    event = track(timestamp=NOW + 3601, originalTimestamp=TIME)
    assert "timestamp" not in body_of(event, "FUTURE_TIME")
    event = track(timestamp="bad", originalTimestamp=NOW + 3601)
    assert "timestamp" not in body_of(event, "UNUSABLE_TIME", "FUTURE_TIME")
    event = track(channel="sources", timestamp=TIME, properties={"timestamp": NOW + 3601})
    assert "timestamp" not in body_of(event, "FUTURE_TIME")


def test_2_5_a_person_whose_event_is_ahead_signs_up_now() -> None:
    """4.5: such an identify has no event time; a createdAt of its own may be anything."""
    body = body_of(identify(timestamp=NOW + 3601), "FUTURE_TIME")
    assert body == {"created_at": NOW}
    assert attributes_of(identify(traits={"createdAt": NOW + 9999})) == {"created_at": NOW + 9999}


def test_2_5_a_device_was_not_used_in_the_future() -> None:
    """6.3: last_used is an event time too, and so is that of a report (13.2)."""
    event = track(
        event="Application Opened",
        context={"device": {"token": "t", "type": "ios"}},
        timestamp=NOW + 3601,
    )
    assert body_of(event, "FUTURE_TIME")["device"] == {"id": "t", "platform": "ios"}
    properties = {"deliveryId": "d", "metric": "opened"}
    event = track(event="Report Delivery Event", properties=properties, timestamp=NOW + 3601)
    assert "timestamp" not in body_of(event, "FUTURE_TIME", semanticEvents=True)


@pytest.mark.parametrize(("time", "seconds"), AHEAD)
def test_9_4_a_row_of_the_future_has_no_time(time: object, seconds: int | None) -> None:
    """identifiers.created_at is the time of a row, of people and of events."""
    warnings = [] if seconds else ["FUTURE_TIME"]
    event = row(id="u", created_at=time, name="n")
    body = body_of(event, *warnings, connection={"object": "person"})
    assert body.get("_timestamp") == seconds
    body = body_of(event, *warnings, connection={"object": "event"})
    assert body.get("timestamp") == seconds
    assert row_in_v2(event, {"object": "person"}, *warnings).get("timestamp") == seconds
    assert row_in_v2(event, {"object": "event"}, *warnings).get("timestamp") == seconds


def test_5_6_an_event_id_does_not_mind_the_future() -> None:
    """It only has to be the same each time."""
    body = body_of(track(messageId="m", timestamp=4_000_000_000), "FUTURE_TIME")
    assert body["id"].startswith("03MD998G00")
