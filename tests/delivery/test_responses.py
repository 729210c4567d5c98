"""What an answer of Customer.io's means, read from every shape it comes in."""

import json
from typing import Any

import pytest
from ciosidecar_server.delivery.responses import MAX_REASON_BYTES, read_failures


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (
            {
                "errors": [
                    {"batch_index": 1, "reason": "invalid", "field": "id", "message": "too long"}
                ]
            },
            (1, "invalid: too long", "id"),
        ),
        (
            {"meta": {"error": "event name must not be blank"}},
            (None, "event name must not be blank", ""),
        ),
        ({"meta": {"errors": ["id is missing"]}}, (None, "id is missing", "")),
        ({"errors": [{"detail": "unauthorized", "status": "401"}]}, (None, "unauthorized", "")),
        ({"errors": {"reason": "alone"}}, (None, "alone", "")),
        ({"errors": "alone"}, (None, "alone", "")),
        ({"errors": [None]}, (None, "", "")),
        ({"errors": [[]]}, (None, "", "")),
        ({"errors": [{"reason": 1, "field": {}, "message": None}]}, (None, "", "")),
        ({"errors": [{"reason": "two\nlines\x07"}]}, (None, "two lines", "")),
    ],
)
def test_an_error_is_read_from_any_shape(body: Any, failure: tuple[Any, ...]) -> None:
    """The four shapes there are, and what is like them; nothing that does not fit is shown."""
    assert read_failures(json.dumps(body).encode()) == [failure]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"1",
        b"<html>502</html>",
        b'{"errors": [',
        b'{"errors": []}',
        b'{"errors": {}}',
        b'{"errors": null}',
        b'{"errors": ""}',
        b'{"errors": false, "meta": []}',
        b'{"meta": {"errors": null, "error": ""}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"errors":' * 100_000,
    ],
    ids=lambda body: body[:20],
)
def test_a_body_that_names_no_error_is_survived(body: bytes) -> None:
    """Empty, not JSON, cut off, of other types, nested without end: no error is made up."""
    assert read_failures(body) == []


@pytest.mark.parametrize(
    ("told", "index"),
    [
        (0, 0),
        (999, 999),
        ("0", 0),
        ("12", 12),
        (2.0, 2),
        (-1, None),
        ("-1", None),
        (1.5, None),
        (True, None),
        (None, None),
        ("", None),
        ("first", None),
        ([1], None),
        (10**30, None),
        (99_999_999_999, None),
        ("9" * 5000, None),
    ],
)
def test_an_index_is_a_number_or_text(told: Any, index: int | None) -> None:
    """Anything else, and a number that no batch has, names no item."""
    (failure,) = read_failures(json.dumps({"errors": [{"batch_index": told}]}).encode())
    assert failure.item == index


def test_a_reason_is_cut_by_bytes() -> None:
    """At most 1,024 bytes, no half of a letter."""
    (failure,) = read_failures(
        json.dumps({"errors": [{"reason": "é" * 2000, "field": "é" * 2000}]}).encode()
    )
    assert len(failure.reason.encode()) <= MAX_REASON_BYTES
    assert failure.reason == failure.field == "é" * 512
