"""Order per person where ids change, and where some of it waits in shared requests. Rule 10.3.

In v1 groups and rows of an audience wait; in v2 everything does, and rows of an audience apart.
"""

from typing import Any

import pytest

from .support import group, identify, of_type, packed, row, track

JANE = "jane@example.com"
BY_ID = {"audienceId": 7}
BY_CIO_ID = {"audienceId": 7, "identifierMappings": [{"to": "cio_id"}]}
BY_EMAIL = {"audienceId": 7, "identifierMappings": [{"to": "email"}]}
ANOTHER = [group(groupId="h", userId="somebody"), row(id="somebody")]
LARGE = {f"t{n:03}": "x" * 900 for n in range(40)}
RELATED = {
    "action": "delete_relationships",
    "relationships": [{"identifiers": {"object_type_id": "1", "object_id": "g"}}],
}


def order_of(events: list[dict[str, Any]], **options: Any) -> list[int]:
    """Positions of the events in the order in which their requests must be sent."""
    return [position for _, covered in packed(events, **options) for position in covered]


def assigns(user_id: str, **traits: Any) -> dict[str, Any]:
    """An identify that gives somebody the id `new`."""
    return identify(userId=user_id, traits={"id": "new"} | traits)


CHANGES = {
    "by cio_id": ("cio_abc", row(x="abc"), BY_CIO_ID),
    "by email": (JANE, row(x=JANE), BY_EMAIL),
}


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize(("old", "audience_row", "connection"), CHANGES.values(), ids=CHANGES)
def test_10_3_an_id_changes_behind_what_waits_for_the_person(
    old: str, audience_row: dict[str, Any], connection: dict[str, Any], api_version: str
) -> None:
    """A group and a row of an audience, under the old name; then events under the new one."""
    events = [
        group(userId=old),
        audience_row,
        assigns(old),
        track(userId="new"),
        group(groupId="h", userId="new"),
        track(userId="new"),
    ]
    assert order_of(events, connection=connection, apiVersion=api_version) == list(range(6))


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize("old", ["cio_abc", JANE])
@pytest.mark.parametrize("waiting", [group(userId="new"), row(id="new")], ids=["group", "row"])
def test_10_3_an_id_is_given_behind_what_waits_under_it(
    waiting: dict[str, Any], old: str, api_version: str
) -> None:
    """What came before the change was somebody else's, if anybody's."""
    events = [waiting, assigns(old), track(userId="new")]
    assert order_of(events, connection=BY_ID, apiVersion=api_version) == [0, 1, 2]


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize("waiting", [group(userId="new"), row(id="new")], ids=["group", "row"])
def test_10_3_an_id_of_user_properties_is_given_too(
    waiting: dict[str, Any], api_version: str
) -> None:
    """Rule 4.4."""
    assigning = identify(userId="cio_abc", user_properties={"id": "new"})
    events = [waiting, assigning, track(userId="new")]
    assert order_of(events, connection=BY_ID, apiVersion=api_version) == [0, 1, 2]


@pytest.mark.parametrize("more", [LARGE, {"cio_relationships": RELATED}], ids=["large", "removes"])
def test_10_3_an_identify_that_leaves_the_v2_batch_keeps_its_place(more: dict[str, Any]) -> None:
    """Between the events of the old name and those of the new one; everybody's stay in order."""
    events = [
        track(userId="cio_abc"),
        *ANOTHER,
        row(id="new"),
        assigns("cio_abc", **more),
        track(userId="new"),
        row("delete", id="new"),
        track(userId="somebody"),
    ]
    order = order_of(events, connection=BY_ID, apiVersion="v2")
    assert sorted(order) == list(range(len(events)))
    for own in ([0, 3, 4, 5, 6], [1, 2, 7]):
        assert [position for position in order if position in own] == own


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_10_3_who_shares_an_email_with_somebody_that_waits(api_version: str) -> None:
    """A person by cio_id whose email is that of a user id may be the same person."""
    waiting = row(x=JANE)
    of_user = group(context={"traits": {"email": JANE}})
    for event in (
        identify(userId="cio_abc", traits={"email": JANE}),
        track(userId="cio_abc", properties={"email": JANE}),
        of_type("track", anonymousId="a", properties={"email": JANE.upper()}),
    ):
        assert order_of([waiting, event], connection=BY_EMAIL, apiVersion=api_version) == [0, 1]
        assert order_of([of_user, event], apiVersion=api_version) == [0, 1]


@pytest.mark.parametrize("action", ["identify", "delete"])
@pytest.mark.parametrize("written", [RELATED, RELATED["relationships"]], ids=["removes", "adds"])
def test_10_3_an_identify_comes_behind_what_waits_for_an_object_it_relates(
    written: object, action: str
) -> None:
    """A group that deletes the object, or makes it, for somebody else."""
    waiting = group(userId="somebody", traits={"action": action})
    event = identify(traits={"cio_relationships": written})
    assert order_of([waiting, event]) == [0, 1]
    assert order_of([waiting, row(id="other"), event], connection=BY_ID) == [0, 2, 1]


def test_10_3_people_who_have_nothing_in_common_do_not_wait_for_each_other() -> None:
    """A change of ids closes no request of others: both wait on to the end."""
    events = [group(userId="one"), row(id="other"), assigns("cio_abc"), track(userId="new")]
    assert order_of(events, connection=BY_ID) == [2, 3, 0, 1]


@pytest.mark.parametrize(
    "first",
    [
        identify(userId=None, anonymousId="v-1", traits={"email": JANE}),
        identify(userId="u-2", traits={"email": JANE}),
        identify(userId="u-2", anonymousId="v-1"),
    ],
    ids=["anonymous", "email", "anonymous-id"],
)
def test_10_3_an_identify_alone_comes_behind_who_may_take_its_email(first: dict[str, Any]) -> None:
    """3.3: whoever comes first keeps the email, so that a swap would change who loses it."""
    then = identify(userId="u-1", anonymousId="v-1", traits={"email": JANE.upper()})
    assert order_of([first, then], alone=[1], apiVersion="v2") == [0, 1]
