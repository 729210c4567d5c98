"""Mapped warehouse events: an external id stands in for the userId. Rules 2.5, 3.5, in both API versions."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    TIME,
    TIME_S,
    body_of,
    item_of,
    of_type,
    refusal_of,
    request_of,
)

OTHER, OTHER_S = "2025-01-01T00:00:00Z", 1735689600


def mapped(kind: str, external: Any = "e1", **members: Any) -> dict[str, Any]:
    """A mapped event as a warehouse sends it; its userId is somebody else."""
    context = {
        "mappedToDestination": True,
        "externalId": [{"id": external, "identifierType": "crm_id", "type": "customerio-x"}],
        "sources": {"version": "1"},
    } | members.pop("context", {})
    event = of_type(kind, userId="not-read", channel="sources", **members)
    return event | {"context": context}


def v2(event: dict[str, Any], *warnings: str) -> Any:
    """The one item that v2 makes of it."""
    return item_of(event, *warnings, apiVersion="v2")


KINDS = ["identify", "track", "page", "screen", "alias", "group"]


def persons_of(item: Any) -> Any:
    """Whom an item of v2 is about."""
    if item["action"] == "merge":
        return item["primary"]
    return (
        item["identifiers"]
        if item["type"] == "person"
        else item["cio_relationships"][0]["identifiers"]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("external", "path", "identifiers"),
    [
        ("e1", "e1", {"id": "e1"}),
        ("jane@example.com", "jane%40example.com", {"email": "jane@example.com"}),
        ("cio_0a", "cio_0a", {"cio_id": "0a"}),
        (789, "789", {"id": "789"}),
    ],
)
def test_3_5_the_external_id_replaces_the_user_id(
    kind: str, external: object, path: str, identifiers: dict[str, str]
) -> None:
    """For every type, and as the same person in both API versions (3.7)."""
    event = mapped(kind, external)
    assert persons_of(v2(event)) == identifiers
    in_v1 = request_of(event)
    if kind == "alias":
        assert in_v1["body"]["primary"] == identifiers
    elif kind == "group":
        assert persons_of(in_v1["body"]["batch"][0]) == identifiers
    else:
        assert in_v1["path"].startswith(f"/api/v1/customers/{path}")


@pytest.mark.parametrize("kind", KINDS)
def test_3_5_the_user_id_of_a_mapped_event_is_not_read(kind: str) -> None:
    """Not even to refuse it (1.5)."""
    event = mapped(kind) | {"userId": {"odd": True}}
    assert persons_of(v2(event)) == {"id": "e1"}
    assert request_of(event)


@pytest.mark.parametrize("flag", [True, "true"])
def test_3_5_the_traits_gain_the_external_id_under_its_own_name(flag: object) -> None:
    """As it was given, over a trait of that name; in both API versions."""
    event = mapped("identify", 789, traits={"crm_id": "old", "a": 1.0})
    event["context"]["mappedToDestination"] = flag
    assert body_of(event) == {"crm_id": 789, "a": 1.0}
    assert v2(event)["attributes"] == {"crm_id": 789, "a": 1.0}
    of_group = mapped("group", 789, traits={"a": 1.0})
    assert item_of(of_group)["attributes"] == {"a": 1.0, "crm_id": 789}
    assert v2(of_group)["attributes"] == {"a": 1.0, "crm_id": 789}


def test_3_5_traits_in_the_context_gain_it_too() -> None:
    """The traits in use are meant (4.1); empty ones stay empty."""
    event = mapped("identify", context={"traits": {"b": 2}})
    assert v2(event)["attributes"] == body_of(event) == {"b": 2, "crm_id": "e1"}
    empty = mapped("identify")
    assert v2(empty)["attributes"] == body_of(empty) == {}


@pytest.mark.parametrize("flag", [False, "false", "yes", 1, None, "True"])
def test_3_5_without_the_flag_an_event_goes_by_its_user_id(flag: object) -> None:
    """A text "false" is not true."""
    event = mapped("identify", traits={"a": 1})
    event["context"]["mappedToDestination"] = flag
    assert v2(event)["identifiers"] == {"id": "not-read"}
    assert v2(event)["attributes"] == body_of(event) == {"a": 1}


@pytest.mark.parametrize("external", [None, "", " ", 0, True, ["e1"], {"id": "e1"}])
def test_3_5_without_a_usable_external_id_an_event_goes_by_its_user_id(external: object) -> None:
    """2.1: what cannot be an id is absent inside the context."""
    event = mapped("track", external)
    assert persons_of(v2(event)) == {"id": "not-read"}
    assert request_of(event)["path"] == "/api/v1/customers/not-read/events"


def test_3_5_an_external_id_that_is_too_long_is_refused() -> None:
    """Never cut (2.2), nor given up for the userId."""
    event = mapped("track", "e" * 151)
    assert refusal_of(event) == refusal_of(event, apiVersion="v2") == "ID_TOO_LONG"


def test_4_5_a_mapped_identify_signs_nobody_up_today() -> None:
    """A nightly sync fills in no created_at; one that is event is sent."""
    assert "created_at" not in v2(mapped("identify", timestamp=TIME))["attributes"]
    event = mapped("identify", traits={"createdAt": TIME})
    assert v2(event)["attributes"] == body_of(event) == {"created_at": TIME_S, "crm_id": "e1"}


WAREHOUSE_TIMES: dict[str, tuple[str, dict[str, Any]]] = {
    "identify-context": ("identify", {"context": {"timestamp": OTHER}}),
    "identify-context-traits": ("identify", {"context": {"traits": {"timestamp": OTHER}}}),
    "identify-traits": ("identify", {"traits": {"timestamp": OTHER}}),
    "track-properties": ("track", {"properties": {"timestamp": OTHER}}),
}


@pytest.mark.parametrize(("kind", "members"), WAREHOUSE_TIMES.values(), ids=WAREHOUSE_TIMES)
def test_2_5_a_row_that_is_not_mapped_has_its_own_time(kind: str, members: dict[str, Any]) -> None:
    """Before the event's; a mapped one has the event's. The same in both API versions."""

    def times(event: dict[str, Any]) -> tuple[Any, Any]:
        in_v1 = body_of(event)
        return in_v1.get("_timestamp", in_v1.get("timestamp")), v2(event)["timestamp"]

    is_mapped = mapped(kind, timestamp=TIME, **members)
    assert times(is_mapped) == (TIME_S, TIME_S)
    event = is_mapped | {"context": is_mapped["context"] | {"mappedToDestination": False}}
    assert times(event) == (OTHER_S, OTHER_S)
    assert times(event | {"channel": "web"}) == (TIME_S, TIME_S)


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_2_5_pages_and_screens_have_the_events_time(kind: str) -> None:
    """Only identify and track rows bring one of their own."""
    event = of_type(
        kind, userId="u", channel="sources", timestamp=TIME, properties={"timestamp": OTHER}
    )
    assert v2(event)["timestamp"] == body_of(event)["timestamp"] == TIME_S
