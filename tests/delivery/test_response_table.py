"""The table of docs/delivery.md, sent: what every kind of answer becomes."""

import gzip
import itertools
import json
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ciosidecar_server.delivery.transport import MAX_RESPONSE_BYTES

from tests.conftest import Connect
from tests.delivery.caller import Caller, Told, caller, track
from tests.fake_customerio import (
    FakeCustomerio,
    Received,
    Reply,
    fake_customerio,
)

PAGE = Path(__file__).parents[2] / "docs" / "delivery.md"
HEADING = "| answer | body | Retry-After |"


class Row(NamedTuple):
    """A row of the table, cell by cell."""

    answer: str
    body: str
    retry_after: str
    alone: str
    named: str
    others: str
    again: str

    @property
    def statuses(self) -> list[int]:
        """The statuses it is of."""
        return [int(status) for status in self.answer.partition(";")[0].split(",")]

    @property
    def with_ids(self) -> bool:
        """Whether its events have ids."""
        return "without an id" not in self.answer


def rows() -> list[Row]:
    """The table, from the page."""
    _, _, rest = PAGE.read_text().partition(HEADING)
    lines = itertools.takewhile(lambda line: line.startswith("|"), rest.splitlines()[2:])
    return [Row(*(cell.strip() for cell in line.strip("| ").split(" | "))) for line in lines]


class Body(NamedTuple):
    """A body, and the headers it comes with."""

    data: bytes
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody adds to it


ONE = b'{"errors": [{"batch_index": 1, "reason": "bad %b", "field": "x"}]}'
NAMES = ONE % b"value"
SPACES = b" " * (MAX_RESPONSE_BYTES + 1)
FINE = [
    Body(b"{}"),
    Body(b""),
    Body(b'{"errors": []}'),
    Body(b'{"errors": null, "meta": {}}'),
    Body(gzip.compress(b"{}"), {"Content-Encoding": "gzip"}),
]
UNREADABLE = [
    Body(b"<html>fine</html>"),
    Body(b"null"),
    Body(b"[]"),
    Body(NAMES[:-1]),
    Body(b'{"errors": [' * 100_000),
    Body(SPACES + NAMES),
    Body(NAMES + SPACES),
    Body(gzip.compress(NAMES)),
    Body(NAMES, {"Content-Encoding": "gzip"}),
    Body(gzip.compress(NAMES)[:-12], {"Content-Encoding": "gzip"}),
    Body(gzip.compress(NAMES + SPACES), {"Content-Encoding": "gzip"}),
    Body(NAMES, {"Content-Encoding": "br"}),
]
NAMES_AN_ITEM = [
    Body(NAMES),
    Body(b'{"errors": [{"batch_index": "1", "message": "bad"}]}'),
    Body(ONE % rb"\ud83d"),
    Body(ONE % rb"\udc00 \\ud83d"),
    Body(ONE % b"\xff\xfe"),
    Body(b"\xef\xbb\xbf" + NAMES),
    Body(gzip.compress(NAMES), {"Content-Encoding": "gzip"}),
    Body(zlib.compress(NAMES), {"Content-Encoding": "deflate"}),
    Body(zlib.compress(NAMES)[2:-4], {"Content-Encoding": "Deflate"}),
    Body(NAMES, {"Content-Encoding": "identity"}),
]
NAMES_NO_ITEM = [Body(b'{"errors": [{"reason": "bad"}]}'), Body(b'{"meta": {"error": "bad"}}')]
BODIES = {
    "none": FINE[1:2],
    "fine": FINE,
    "unreadable": UNREADABLE,
    "fine or unreadable": FINE + UNREADABLE,
    "names an item": NAMES_AN_ITEM,
    "names no item": NAMES_NO_ITEM,
    "any": [FINE[0], UNREADABLE[0], NAMES_AN_ITEM[0], NAMES_NO_ITEM[0]],
}
RETRY_AFTER: dict[str, list[str | None]] = {
    "any": [None, "30"],
    "none or 0": [None, "0"],
    "above 0": ["30"],
}


# So many that a busy machine answers them within a fraction of the time below.
_AT_A_TIME = 16
# For a second try at least: what is tried again is tried until the time is over. A machine that is too busy for a
# second try gets more time.
_TIMES_OF_TRIES_S = (2.0, 10.0)
_TIMES_S = (15.0,)


class Case(NamedTuple):
    """One answer, and the destinations that get it: alone, and for three events that share a request."""

    reply: Reply
    alone: int
    shared: int


@pytest.mark.parametrize(
    "row", rows(), ids=lambda row: f"{row.answer}, {row.body}, {row.retry_after}"
)
async def test_an_answer_becomes_what_the_table_says(connect: Connect, row: Row) -> None:
    """Status and code of an event alone, of the one that is named and of the others; and whether it was tried again."""
    replies = [
        Reply(status, body.data, body.headers | ({"Retry-After": after} if after else {}))
        for status in row.statuses
        for body in BODIES[row.body]
        for after in RETRY_AFTER[row.retry_after]
    ]
    times_s = _TIMES_OF_TRIES_S if row.again == "yes" else _TIMES_S
    most = 2 * len(replies) * len(times_s)
    configs = [_config(number, with_ids=row.with_ids) for number in range(1, most + 1)]
    numbers = itertools.count(1)
    by_key: dict[str, Reply] = {}
    async with fake_customerio() as customerio:
        customerio.rule = lambda request: by_key[request.headers["authorization"]]
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub, *configs) as one:
            left = replies
            for time_s in times_s:
                cases = [Case(reply, next(numbers), next(numbers)) for reply in left]
                for case in cases:
                    by_key[_authorization(case.alone)] = case.reply
                    by_key[_authorization(case.shared)] = case.reply
                needs_two = time_s != times_s[-1]
                left = []
                for first in range(0, len(cases), _AT_A_TIME):
                    some = cases[first : first + _AT_A_TIME]
                    for case in some:
                        await _send(one, case, time_s)
                    left += [
                        case.reply
                        for case in some
                        if (needs_two and await _tried_once(one, case))
                        or not await _check(one, customerio, row, case)
                    ]
    assert len(left) < len(replies) / 2


async def _send(one: Caller, case: Case, timeout_s: float) -> None:
    """Send an event alone, and three events that share a request."""
    await one.send(
        case.alone, track("0", "u0", messageId="m0"), number=case.alone, timeout_s=timeout_s
    )
    events = [track(f"{n}", f"u{n}", messageId=f"m{n}") for n in range(3)]
    await one.send(case.shared, *events, number=case.shared, timeout_s=timeout_s)


async def _tried_once(one: Caller, case: Case) -> bool:
    """Return whether some event of a case was sent once at most."""
    told = [*await one.told_all(case.alone), *await one.told_all(case.shared)]
    return any(each.delivery.attempts <= 1 for each in told)


async def _check(one: Caller, customerio: FakeCustomerio, row: Row, case: Case) -> bool:
    """Compares, unless the last try was under way when the time was over, which nobody can rule out."""
    status = case.reply.status
    (alone,) = await one.told_all(case.alone)
    first, named, last = await one.told_all(case.shared)
    if any(map(_cut_in_a_later_try, (alone, first, named, last))):
        return False
    assert _said(alone) == _expected(row.alone, status), case
    assert _said(named) == _expected(row.named, status), case
    assert {_said(first), _said(last)} == {_expected(row.others, status)}, case
    asked_alone = _requests(customerio, case.alone)
    asked = _requests(customerio, case.shared)
    assert len(asked[0].items) == 3
    match row.again:
        case "no":
            assert (len(asked_alone), len(asked)) == (1, 1), case
        case "after it":
            assert (len(asked_alone), len(asked)) == (1, 1), case
            assert alone.retry_after_s == named.retry_after_s == 30, case
        case "yes":
            assert len(asked_alone) > 1, case
            assert {len(request.items) for request in asked} == {3}, case
            assert len(asked) > 1, case
        case "in halves":
            assert {len(request.items) for request in asked} >= {1, 3}, case
        case _:
            raise AssertionError(row.again)
    return True


def _cut_in_a_later_try(told: Told) -> bool:
    """Return whether the time was over while another try was under way: there is no answer then."""
    return (
        told.code == "UPSTREAM_TIMEOUT"
        and told.delivery.http_status == 0
        and told.delivery.attempts > 1
    )


def _said(told: Told) -> tuple[int, tuple[str, ...]]:
    return told.status, (*([told.code] if told.code else []), *told.warnings)


def _expected(cell: str, status: int) -> Any:
    number, _, code = cell.partition(" ")
    return status if number == "that" else int(number), (code.strip("`"),) if code else ()


def _requests(customerio: FakeCustomerio, number: int) -> list[Received]:
    key = _authorization(number)
    return [one for one in customerio.requests if one.headers["authorization"] == key]


def _config(number: int, *, with_ids: bool) -> bytes:
    config = {"siteID": f"site-{number}", "apiKey": "key", "apiVersion": "v2"}
    return json.dumps(config if with_ids else config | {"eventIds": "none"}).encode()


def _authorization(number: int) -> str:
    return "Basic " + b64encode(f"site-{number}:key".encode()).decode()
