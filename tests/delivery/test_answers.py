"""What an answer of Customer.io's means, read from every shape it comes in."""

import json
from typing import Any

import pytest
from ciosidecar_server.delivery.answers import MAX_REASON_BYTES, Meaning, read_answer, read_failures
from ciosidecar_server.delivery.transport import Answer


def answer(status: int, body: Any = b"") -> Answer:
    return Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, Meaning.DELIVERED),
        (201, Meaning.DELIVERED),
        (204, Meaning.DELIVERED),
        (207, Meaning.DELIVERED),
        *((status, Meaning.REFUSED) for status in (400, 402, 404, 405, 409, 413, 422, 451)),
        *((status, Meaning.WRONG_CREDENTIALS) for status in (401, 403)),
        *((status, Meaning.TRY_AGAIN) for status in (408, 425, 429)),
        *((status, Meaning.TRY_AGAIN) for status in (500, 501, 502, 503, 504, 522, 524, 599)),
        *((status, Meaning.TRY_AGAIN) for status in (300, 301, 302, 303, 304, 307, 308)),
    ],
)
def test_a_status_has_a_meaning(status: int, meaning: Meaning) -> None:
    """2xx taken, 4xx refused, 401 and 403 the credentials, the rest worth another try."""
    assert read_answer(answer(status)) == (meaning, [])


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
    assert read_failures(answer(400, body).body) == [failure]


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
    assert read_answer(answer(200, body)) == (Meaning.DELIVERED, [])


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
