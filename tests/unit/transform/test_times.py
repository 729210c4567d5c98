"""Times as sources write them, and which of them is the event's. SPEC 2.4, 2.5."""

from typing import Any

import pytest

from tests.unit.transform.support import TIME, TIME_S, attributes_of, body_of, identify, track

DAY_S = 1704153600  # 2024-01-02
USABLE: list[tuple[Any, int]] = [
    ("2024", 1704067200),
    ("2024-01", 1704067200),
    ("2024/01", 1704067200),
    ("2024-01-02", DAY_S),
    ("2024/01/02", DAY_S),
    ("2024-01-02T03:04", 1704164640),
    ("2024-01-02 03:04", 1704164640),
    ("2024/01/02 03:04:05", TIME_S),
    ("2024-01-02T03:04:05", TIME_S),
    ("2024-01-02T03:04:05Z", TIME_S),
    ("2024-01-02t03:04:05z", TIME_S),
    ("2024-01-02T03:04:05 Z", TIME_S),
    ("2024-01-02 03:04:05 UTC", TIME_S),
    ("2024-01-02 03:04:05UTC", TIME_S),
    ("2024-01-02 03:04:05 GMT", TIME_S),
    ("2024-01-02T03:04:05.1Z", TIME_S),
    ("2024-01-02T03:04:05.678Z", TIME_S),
    ("2024-01-02T03:04:05.67 Z", TIME_S),
    ("2024-01-02T03:04:05.999999999Z", TIME_S),
    ("2024-01-02T03:04:05+01", TIME_S - 3600),
    ("2024-01-02T03:04:05+0100", TIME_S - 3600),
    ("2024-01-02T03:04:05+01:00", TIME_S - 3600),
    ("2024-01-02T03:04:05-05:30", TIME_S + 19800),
    ("2024-01-02 03:04:05.678 +0545", TIME_S - 20700),
    ("2024-01-02T03:04+14:00", 1704164640 - 50400),
    ("2024-01-02T03:04:05-23:59", TIME_S + 86340),
    ("2024-02-29", 1709164800),
    ("1969-12-31T23:59:59Z", -1),
    ("1969-12-31T23:59:59.500Z", -1),
    ("  2024-01-02T03:04:05Z\n", TIME_S),
    ("1/2/2024", DAY_S),
    ("01/02/2024", DAY_S),
    ("12/31/1999", 946598400),
    ("January 2, 2024", DAY_S),
    ("Jan 2 2024", DAY_S),
    ("Jan 02 2024", DAY_S),
    ("May 21, 2014", 1400630400),
    ("Tue, 02 Jan 2024 03:04:05 GMT", TIME_S),
    ("Tue, 02 Jan 2024 03:04:05 +0100", TIME_S - 3600),
    (1704164645, TIME_S),
    (1704164645.678, TIME_S),
    (1704164645678, TIME_S),
    (1704164645678901, TIME_S),
    (1704164645678901234, TIME_S),
    (100_000_000, 100_000_000),
    (10**11 - 1, 10**11 - 1),
    (10**11, 10**8),
    (10**14 - 1, 99_999_999_999),
    (10**14, 10**8),
    (10**17 - 1, 99_999_999_999),
    (10**17, 10**8),
    (10**20 - 1, 99_999_999_999),
    (-100_000_000, -100_000_000),
    (-100_000_000_500, -100_000_001),
    (-100000000.5, -100_000_001),
    ("1704164645", TIME_S),
    ("1704164645678", TIME_S),
    ("-1704164645", -TIME_S),
    (" 1704164645 ", TIME_S),
    ("100000000", 100_000_000),
    ("99999999999999999999", 99_999_999_999),
]
ABSENT = [None, "", " ", "\t\n", "0", " 0 ", 0, 0.0, False]
UNUSABLE: list[Any] = [
    "garbage",
    "now",
    True,
    [],
    {},
    [1704164645],
    1,
    99_999_999,
    2024,
    -99_999_999,
    10**20,
    -(10**20),
    1e300,
    "1",
    "12345",
    "99999999",
    "20240102",
    "1" * 21,
    "1" * 5000,
    "1704164645.5",
    "1e10",
    "١٧٠٤١٦٤٦٤٥",
    "\uff12\uff10\uff12\uff14-01-02",
    "\uff12\uff1024-01-02T03:04:05.678Z",
    "2024-01-02T24:00:00Z",
    "2024-01-02T24:00:00.000Z",
    "2024-01-02T23:59:60Z",
    "2016-12-31T23:59:60.000Z",
    "2024-01-02T03:60:00Z",
    "2024-02-30",
    "2024-02-30T00:00:00.000Z",
    "2023-02-29T00:00:00Z",
    "2024-13-01",
    "2024-00-10",
    "2024-01-00",
    "2/30/2024",
    "13/1/2024",
    "5/21/49",
    "2024-1-2",
    "2024-01-02T3:04",
    "2024-01-02T03",
    "2024-01-02T03:04:05.",
    "2024-01-02T03:04:05.1234567890Z",
    "2024-01-02T03:04:05,678Z",
    "2024-01-02  03:04:05",
    "2024-01-02T03:04:05EST",
    "2024-01-02T03:04:05+1",
    "2024-01-02T03:04:05+1:00",
    "2024-01-02T03:04:05+24:00",
    "2024-01-02T03:04:05+01:60",
    "2024-W01-2",
    "2024-W01-2T03:04:05.678Z",
    "January 2, 2024 03:04",
    "1/2/2024 03:04",
    "Janu 2, 2024",
    "Feb 30 2024",
    "Tue, 32 Jan 2024 03:04:05 GMT",
    "2024-01-02T03:04:05Z2024",
    "2024-01-02\x0003:04:05",
    "null",
    "NaN",
    "Invalid Date",
]


def named(value: object) -> str:
    return ascii(value)[:40]


@pytest.mark.parametrize(("value", "seconds"), USABLE, ids=map(named, [v for v, _ in USABLE]))
def test_2_4_usable_times_become_seconds(value: object, seconds: int) -> None:
    """Every accepted form becomes whole seconds since 1970, rounded down, in UTC."""
    assert body_of(track(timestamp=value))["timestamp"] == seconds
    assert attributes_of(identify(traits={"createdAt": value})) == {"created_at": seconds}


@pytest.mark.parametrize("value", ABSENT, ids=named)
def test_2_4_absent_times_are_passed_over_silently(value: object) -> None:
    """null, blank, 0 and false are no times and no mistakes."""
    assert "timestamp" not in body_of(track(timestamp=value))
    assert attributes_of(identify(traits={"createdAt": value})) == {}


@pytest.mark.parametrize("value", UNUSABLE, ids=named)
def test_2_4_anything_else_is_skipped_with_a_warning(value: object) -> None:
    """A time that cannot be read is left out: never null, never NaN, never now."""
    assert "timestamp" not in body_of(track(timestamp=value), "UNUSABLE_TIME")
    assert attributes_of(identify(traits={"createdAt": value}), "UNUSABLE_TIME") == {}


@pytest.mark.parametrize("raw", [b"1e400", b"-1e400", b"9" * 5000, b"1" * 30], ids=lambda r: r[:6])
def test_2_4_vast_numbers_are_unusable(raw: bytes) -> None:
    """A number that no double holds is no time."""
    event = b'{"type":"track","event":"e","userId":"u","timestamp":%b}' % raw
    assert "timestamp" not in body_of(event, "UNUSABLE_TIME")


@pytest.mark.parametrize("raw", [b"-0", b"0e5", b"-0.0"])
def test_2_4_any_spelling_of_0_is_absent(raw: bytes) -> None:
    """The number 0 is absent however it is written."""
    event = b'{"type":"track","event":"e","userId":"u","timestamp":%b}' % raw
    assert "timestamp" not in body_of(event)


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
