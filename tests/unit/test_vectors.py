"""The worked cases: every line of tests/vectors, compared as the requests they should become."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from ciosidecar_transform import read_destination, transform


def cases(name: str) -> list[Any]:
    text = Path(__file__).parent.parent.joinpath("vectors", name).read_bytes()
    found = [json.loads(line) for line in text.splitlines()]
    return [pytest.param(case, id=case.get("name")) for case in found]


@pytest.mark.parametrize("case", cases("track_v1.jsonl"))
def test_case_of_v1(case: dict[str, Any]) -> None:
    """Same status, same requests, an error among the broken rules, a warning where one is due."""
    check(case)


@pytest.mark.parametrize("case", cases("track_v2.jsonl"))
def test_case_of_v2(case: dict[str, Any]) -> None:
    """The same in the other API version, where a batch of one event is a request of one item."""
    check(case)


def check(case: dict[str, Any]) -> None:
    """The event of a case comes to what the case says."""
    got = outcome(case["event"], case["config"])
    assert matches(case["expect"], got), got


@pytest.mark.parametrize("case", cases("event_ids.jsonl"))
def test_event_id(case: dict[str, Any]) -> None:
    """5.6: the whole id, of an event as exact text."""
    destination, _ = read_destination(b'{"siteID": "site", "apiKey": "key"}')
    assert destination is not None
    _, (request,) = transform(case["event_json"].encode(), destination, now=int(time.time()))
    assert json.loads(request.body)["id"] == case["id"]


def outcome(event: Any, config: Any) -> dict[str, Any]:
    """What an event comes to, in the form of the cases."""
    destination, _ = read_destination(json.dumps(config).encode())
    if destination is None:
        return {"error": "INVALID_DESTINATION"}
    found, requests = transform(json.dumps(event).encode(), destination, now=int(time.time()))
    if found.error is not None:
        return {"error": str(found.error.code)}
    if found.filtered is not None:
        return {"filtered": str(found.filtered)}
    return {
        "requests": [
            {
                "method": request.template.method,
                "url": request.template.base_url + request.path,
                "body": json.loads(request.body) if request.body else None,
            }
            for request in requests
        ],
        "warnings": bool(found.warnings),
    }


def matches(expected: dict[str, Any], got: dict[str, Any]) -> bool:
    """An event that breaks several rules may name any of them."""
    if "error" in expected:
        return "error" in got
    if "requests" not in expected:
        return expected == got
    return (
        expected["warnings"] == got.get("warnings")
        and len(expected["requests"]) == len(got["requests"])
        and all(
            want["method"] == one["method"]
            and unquote(want["url"]) == unquote(one["url"])
            and same(want["body"], one["body"])
            for want, one in zip(expected["requests"], got["requests"], strict=True)
        )
    )


def same(want: Any, got: Any) -> bool:
    """Equal as JSON values, with the placeholders of the cases."""
    if want == "NOW":
        return isinstance(got, int) and abs(got - time.time()) < 60
    if isinstance(want, str) and want.startswith("ULID:"):
        return isinstance(got, str) and len(got) == 26 and got.startswith(want[5:])
    if isinstance(want, str) and want.startswith("NUM:"):
        return isinstance(got, str) and float(got) == float(want[4:])
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and want.keys() == got.keys()
            and all(same(want[name], got[name]) for name in want)
        )
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(same, want, got))
    return isinstance(want, bool) == isinstance(got, bool) and bool(want == got)
