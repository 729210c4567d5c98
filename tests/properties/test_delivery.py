"""Through the real server to the real sandbox: no limit is broken, and both API versions mean the same."""

import json
import re
from collections.abc import Sequence
from typing import Any

from ciosidecar.results import Result
from ciosidecar_sandbox.identifiers import from_path
from ciosidecar_transform import Request
from hypothesis import assume, example, given
from hypothesis import strategies as st

from .conftest import Engines
from .examples import examples
from .relationships import all_are_readable
from .settings import CONNECTIONS, USABLE_CONFIGS, usable_configs
from .state import state_of
from .strategies import EVENTS
from .transformed import destination_of, transformed

# What the sandbox says in a remark where a value is silently of no use. The rules promise better.
PREVENTED = (
    "is not a ULID",
    "means subscribed",
    "must be an object, not a string",
    "so ignored",
    "anonymous_id is not a string",
    "the cio_id is not that of the person",
    "an id cannot be removed",
)
# Rule 9.4: rule 4.8 does not hold for rows, whose columns are sent as they were written.
_NOT_OF_ROWS = "means subscribed"
# Rule 1.3: a number that no double holds is passed on as any other, and Customer.io refuses it.
_VAST_NUMBER = re.compile(rb"[0-9]{300}|[eE][+]?[0-9]{3}")
# Replaced, not left out: most events with many values have such a number.
# Rule 4.8b: a relationship with an object `identifiers` is passed on, whatever it identifies.
_EVENTS = EVENTS.map(lambda event: _VAST_NUMBER.sub(b"7", event)).filter(all_are_readable)
_BATCHES = st.lists(_EVENTS, min_size=1, max_size=6)


def _refused(results: Sequence[Result]) -> list[Result]:
    return [
        result
        for result in results
        if result.error is not None and result.error.type in ("delivery", "internal")
    ]


@examples(60)
@given(events=_BATCHES, config=USABLE_CONFIGS, connection=CONNECTIONS)
def test_no_good_request_breaks_a_limit_of_customer_io(
    engines: Engines, events: list[bytes], config: bytes, connection: bytes
) -> None:
    """The sandbox accepts each request, and reads each value that a rule put into a readable form."""
    assume(destination_of(config) is not None)
    engines.reset()
    has_rows = any(b'"record"' in event.lower() for event in events)
    prevented = [text for text in PREVENTED if not (has_rows and text == _NOT_OF_ROWS)]
    results = engines.deliver(events, config, connection)
    assert [result.position for result in results] == list(range(len(events)))
    log = engines.sandbox.workspace.log
    refused = [(row.reason, row.body) for row in log.rows if row.status != 200]
    assert not _refused(results), refused
    for row in log.rows:
        assert row.status == 200, row
        # Only people have attributes that Customer.io reads.
        if row.call == "identify":
            assert not any(text in row.reason for text in prevented), row


def _config(config: bytes, api_version: str) -> bytes:
    settings = json.loads(config) | {"apiVersion": api_version, "createdAtFallback": "none"}
    return json.dumps(settings).encode()


def _addresses_alike(one: Request, two: Request) -> bool:
    """Whether v1 and v2 name the same kind of identifier.

    Rules 2.3, 3.7: what Customer.io takes for an email in a path is its own; texts that are nearly
    emails are left out of the comparison.
    """
    path = one.path.encode().split(b"/")
    if path[3:4] != [b"customers"] or two.template.endpoint_path != "v2/batch":
        return True
    item: dict[str, Any] = json.loads(two.body, parse_int=str, parse_float=str)["batch"][0]
    return [from_path(path[4].partition(b"?")[0]).kind] == list(item["identifiers"])


def _means_the_same(event: bytes, configs: Sequence[bytes], connection: bytes) -> bool:
    """Whether the two API versions can say the same of an event, by the rules' own exceptions."""
    results = []
    for config in configs:
        destination = destination_of(config)
        assert destination is not None
        results.append(transformed(event, destination, connection))
    one, two = results
    codes = [result.outcome.error and result.outcome.error.code for result in results]
    if codes[0] != codes[1]:
        # Rule 3.6: a dot segment in a path. Rule 10.2: what fits into no item.
        assert codes[0] == "INVALID_ID" or codes[1] == "TOO_LARGE", codes
        return False
    if not one.requests:
        return False
    # Rules 4.9 and 10.1: v2 counts fewer of a person's attributes towards the 300.
    if any(warning.code == "TOO_MANY_ATTRIBUTES" for warning in one.outcome.warnings):
        return False
    assert [warning.code for warning in one.outcome.warnings] == [
        warning.code for warning in two.outcome.warnings
    ]
    return _addresses_alike(one.requests[0], two.requests[0])


# Few of CI's examples have a device.
_DEVICE = (
    b'{"type":"track","userId":"u-1","event":"Application Opened","timestamp":"2024-01-02",'
    b'"context":{"device":{"token":"t","type":"ios"}}}'
)
# Rules 3.8 and 13.4: v1 has neither kinds of user ids nor phone numbers.
_BOTH = usable_configs(
    "userIdIdentifierType", "phoneAsIdentifier", "apiVersion", "createdAtFallback"
)


@examples(60)
@given(events=st.lists(_EVENTS, min_size=1, max_size=8), config=_BOTH, connection=CONNECTIONS)
@example(events=[_DEVICE], config=b'{"siteID":"site","apiKey":"key"}', connection=b"{}")
def test_10_1_both_api_versions_leave_the_same_behind(
    engines: Engines, events: list[bytes], config: bytes, connection: bytes
) -> None:
    """People, attributes, devices, relationships, events, objects, suppressions and reports are equal."""
    assume(destination_of(config) is not None)
    configs = [_config(config, api_version) for api_version in ("v1", "v2")]
    comparable = [event for event in events if _means_the_same(event, configs, connection)]
    assume(comparable)
    states = []
    for settings in configs:
        engines.reset()
        # Delivery orders what concerns one person by the identifiers that the events name. A person
        # known by id and email has several, so each event is answered before the next is sent.
        for event in comparable:
            assert not _refused(engines.deliver([event], settings, connection))
        states.append(state_of(engines.sandbox.workspace))
    assert states[0] == states[1]
