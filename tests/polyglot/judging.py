"""Whether what a driver wrote is what the scenario expects."""

import base64
import json
from typing import Any

from ciosidecar import v1
from google.protobuf import json_format

from tests.unit.test_vectors import matches

from .scenarios import Scenario

# What a driver may have taken beyond the limit of outstanding events: 64 KiB each in two pipes and in a buffer of its own.
_PIPED_LINES = 3 * 65_536 // 80


def problems(scenario: Scenario, lines: list[dict[str, Any]]) -> list[str]:
    """Return everything that is not as it must be."""
    if not lines or "end" not in lines[-1]:
        return ["the last line does not say how it ended"]
    *answers, end = lines
    found = []
    expect = dict(scenario.expect)
    if end["end"] != expect.pop("end", "OK"):
        found.append(f"it ended {end['end']}: {end.get('message')}")
    text = expect.pop("message", "")
    if text not in end.get("message", ""):
        found.append(f"{end.get('message')!r} does not say {text!r}")
    if expect.pop("reconnects", None) and end["reconnects"] < 1:
        found.append("it never had to reconnect")
    most = expect.pop("taken_unread_at_most", None)
    if most is not None and end["taken_unread"] > most + _PIPED_LINES:
        found.append(f"it took {end['taken_unread']} events while it was not read")
    found += _of_measures(end, expect)
    if end.get("in_the_sandbox") != expect.pop("in_the_sandbox", None):
        found.append(f"{end.get('in_the_sandbox')} events are in the sandbox")
    if "answers" in expect and len(answers) != expect["answers"]:
        found.append(f"{len(answers)} answers where {expect['answers']} were due")
    expect.pop("answers", None)
    if "responses" in expect:
        found += _of_responses(answers, expect.pop("responses"))
    elif scenario.call != "raw" and not scenario.options.get("unordered"):
        found += _of_order(answers)
    found += _of_statuses(answers, expect.pop("statuses", None))
    for index, wanted in enumerate(expect.pop("results", [])):
        if index >= len(answers) or not includes(answers[index], wanted):
            got = answers[index] if index < len(answers) else None
            found.append(f"answer {index} is {got}, where {wanted} was due")
    if scenario.cases:
        found += _of_cases(scenario, answers)
    if expect:
        found.append(f"the scenario expects what nobody looks at: {expect}")
    return found


def _of_measures(end: dict[str, Any], expect: dict[str, Any]) -> list[str]:
    """What is said of the end beyond how it came."""
    found = []
    if end["refused"] != expect.pop("refused", []):
        found.append(f"it refused {end['refused']}")
    if "fastest_ms" in expect:
        least, most = expect.pop("fastest_ms")
        if not least <= end["fastest_ms"] <= most:
            found.append(f"the fastest answer took {end['fastest_ms']} ms")
    recorded = end.get("recorded") or {}
    if "recorded" in expect and not includes(recorded, wanted := expect.pop("recorded")):
        found.append(f"the sidecar saw {str(recorded)[:3000]}, where {wanted} was due")
    totals = expect.pop("totals", {})
    for name, (least, most) in totals.items():
        total = sum(batch[name] for batch in recorded["batches"])
        if not least <= total <= most:
            found.append(f"{total} {name} were sent, where {least} to {most} were due")
    for name, most in expect.pop("largest", {}).items():
        if max(batch[name] for batch in recorded["batches"]) != most:
            sizes = sorted({batch[name] for batch in recorded["batches"]})
            found.append(f"messages had {sizes} {name}, where {most} are the most")
    for name, (least, most) in expect.pop("timeouts_s", {}).items():
        got = recorded["timeouts_s"].get(name)
        if got is None or not least <= got <= most:
            found.append(f"{name} had {got} s")
    return found


def _of_order(answers: list[dict[str, Any]]) -> list[str]:
    positions = [answer["position"] for answer in answers]
    return [] if positions == list(range(len(positions))) else ["not each event once, in order"]


def _of_statuses(answers: list[dict[str, Any]], wanted: dict[str, int] | None) -> list[str]:
    if wanted is None:
        return []
    counts: dict[str, int] = {}
    for answer in answers:
        counts[str(answer["status"])] = counts.get(str(answer["status"]), 0) + 1
    return [] if counts == wanted else [f"statuses {counts}, where {wanted} were due"]


def _of_responses(answers: list[dict[str, Any]], wanted: list[Any]) -> list[str]:
    got = [
        json_format.MessageToDict(
            v1.TransformStreamResponse.FromString(base64.b64decode(answer["response"]))
        )
        for answer in answers
    ]
    if len(got) == len(wanted) and all(map(includes, got, wanted)):
        return []
    return [f"responses {json.dumps(got)[:2000]}, where {wanted} were due"]


def _of_cases(scenario: Scenario, answers: list[dict[str, Any]]) -> list[str]:
    return [
        f"{case['name']}: {answer}, where {case['expect']} was due"
        for case, answer in zip(scenario.cases, answers, strict=False)
        if not matches(case["expect"], _as_case(answer))
    ]


def _as_case(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        return {"error": answer["error"]["code"]}
    if "filter_reason" in answer:
        return {"filtered": answer["filter_reason"]}
    return {
        "requests": [
            {
                "method": one["method"],
                "url": one["url"],
                "body": json.loads(one["body"]) if one["body"] else None,
            }
            for one in answer["requests"]
        ],
        "warnings": bool(answer.get("warnings")),
    }


def includes(got: Any, wanted: Any) -> bool:
    """Return whether everything wanted is there. A body is compared as JSON."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(
            includes(json.loads(got["body"]) if name == "body" else got.get(name), value)
            if name in got
            else value is None
            for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(includes, got, wanted))
    return bool(got == wanted)
