"""Mappings of columns to the fields of an event, as options and as a file."""

import pickle

import pytest
from ciosidecar_server.backfill.parquet.mapping import BadMapping, MappedField, column_map


def test_an_assignment_names_a_field_and_a_column() -> None:
    """Text for an object is read as JSON; a backslash keeps a dot in a name."""
    mapping = column_map(
        "", ["userId=user_id", "properties=props", r"traits.plan\.name=plan", "traits.n=n:json"]
    )
    assert mapping is not None
    assert mapping.fields == (
        MappedField(path=("userId",), column="user_id"),
        MappedField(path=("properties",), column="props", content="json"),
        MappedField(path=("traits", "plan.name"), column="plan"),
        MappedField(path=("traits", "n"), column="n", content="json"),
    )
    assert mapping.fields[2].name == r"traits.plan\.name"


def test_a_file_says_what_assignments_say() -> None:
    """Fixed values may be anything there."""
    by_file = column_map(
        "",
        (),
        b'{"type":{"value":"track"},"userId":"user_id","context.x":{"column":"x","json":true}}',
    )
    assert by_file == column_map("", ['type="track"', "userId=user_id", "context.x=x:json"])


def test_no_options_are_no_mapping() -> None:
    """Lines need none."""
    assert column_map("") is None


def test_a_mapping_can_be_pickled() -> None:
    """Workers get it with each task."""
    mapping = column_map("", ['type="track"', "userId=user_id"])
    assert pickle.loads(pickle.dumps(mapping)) == mapping


@pytest.mark.parametrize(
    ("assignments", "mapping_file", "says"),
    [
        (["userId"], None, "is not FIELD=COLUMN"),
        (["userId="], None, "is not FIELD=COLUMN"),
        (["=user_id"], None, "is not FIELD=COLUMN"),
        (["..=a"], None, "is not a field"),
        (["user_id=user_id"], None, "an event has no field user_id; its fields are action"),
        (["userId.a=a"], None, "userId has no members"),
        (['type="track'], None, "is not a text in double quotes"),
        (["userId=a", "userId=b"], None, "userId is mapped twice"),
        (["traits.a.b=a", "traits.a=b"], None, "traits.a.b is a part of traits.a"),
        ([], b"[]", "is not a JSON object of fields"),
        ([], b"{", "is not a JSON object of fields"),
        ([], b'{"userId":7}', "userId is neither"),
        ([], b'{"userId":{"column":"a","json":false}}', "userId is neither"),
        ([], b'{"userId":{"column":"","json":true}}', "userId is neither"),
    ],
)
def test_a_mapping_that_is_none_is_refused(
    assignments: list[str], mapping_file: bytes | None, says: str
) -> None:
    """The text names the field."""
    with pytest.raises(BadMapping, match=says):
        column_map("", assignments, mapping_file)


def test_a_column_of_events_leaves_nothing_to_map() -> None:
    """One or the other."""
    with pytest.raises(BadMapping, match="use one or the other"):
        column_map("payload", ["userId=user_id"])
