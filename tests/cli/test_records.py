"""`ciosidecar transform` of warehouse rows and in Track API v2, through a real server."""

import json
from typing import Any

from tests.processes import run

CONFIG: dict[str, Any] = {"siteID": "site", "apiKey": "key"}
ROW: dict[str, Any] = {"type": "record", "action": "insert", "identifiers": {"id": "u1", "a": 1}}
TRACK: dict[str, Any] = {"type": "track", "userId": "u1", "event": "Order"}


def transform(*lines: object, raw: bytes = b"", pack: bool = False) -> list[dict[str, Any]]:
    """The lines that come out. raw: more lines in, as they are. pack: whether requests are shared."""
    stdin = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + raw
    done = run("transform", *(["--pack"] if pack else []), stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def line(event: object, connection: object = None, **config: Any) -> dict[str, Any]:
    """A line with its own destination and, for a record, its connection."""
    found = {"event": event, "config": CONFIG | config}
    return found if connection is None else found | {"connection": connection}


def test_a_line_brings_the_connection_of_its_record() -> None:
    """In the dashboard's form; what a row is about differs by line."""
    person, event = ({"destination": {"object": kind}} for kind in ("person", "event"))
    named = ROW | {"identifiers": {"id": "u1", "name": "Order"}}
    first, second, third = transform(line(ROW, person), line(named, event), line(ROW))
    assert first["requests"][0]["body"] == {"a": 1}
    assert second["requests"][0]["body"] == {"name": "Order", "type": "event", "data": {}}
    assert (third["status"], third["error"]["code"]) == (400, "INVALID_RECORD")


def test_rows_of_an_audience_share_a_request_that_names_their_lines() -> None:
    """Counted from 1, as other lines are."""
    rows = [ROW | {"identifiers": {"id": f"u{number}"}} for number in range(3)]
    *others, last = transform(*[line(row, {"audienceId": 7}) for row in rows], pack=True)
    (request,) = last["requests"]
    assert request["url"].endswith("/api/v1/segments/7/add_customers?id_type=id")
    assert (request["body"], request["lines"]) == ({"ids": ["u0", "u1", "u2"]}, [1, 2, 3])
    assert [(one["status"], one["requests"]) for one in others] == [(200, []), (200, [])]


def test_half_an_emoji_in_a_row_does_not_hide_its_connection() -> None:
    """The line is read less strictly then, and the row is repaired (1.1)."""
    row = b'{"type":"record","action":"insert","identifiers":{"id":"u1","a":"\\ud83d"}}'
    config = json.dumps(CONFIG).encode()
    found = b'{"connection":{"object":"person"},"event":%b,"config":%b}\n' % (row, config)
    (answer,) = transform(raw=found)
    assert answer["requests"][0]["body"] == {"a": "\ufffd"}
    assert [warning["code"] for warning in answer["warnings"]] == ["LONE_SURROGATE"]


def test_lines_of_a_destination_in_v2_share_a_request() -> None:
    """apiVersion v2, with the lines that the request covers."""
    lines = [line(TRACK, apiVersion="v2")] * 2
    first, last = transform(*lines, pack=True)
    (request,) = last["requests"]
    assert request["endpoint_path"] == "v2/batch"
    assert request["lines"] == [1, 2]
    assert len(request["body"]["batch"]) == 2
    assert (first["status"], first["requests"]) == (200, [])
