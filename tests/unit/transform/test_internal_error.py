"""A fault of our own costs one event, not the batch, and the log does not quote it."""

import logging

import pytest
from ciosidecar_transform import (
    BatchTransform,
    ErrorCode,
    EventRejected,
    Request,
    RequestList,
    RequestTemplate,
)

from tests.unit.transform.support import NOW, destination

SECRET = "jane@example.com"


def track(name: str) -> bytes:
    return b'{"type": "track", "userId": "u1", "event": "%b"}' % name.encode()


class FailsOnce(RequestList):
    """A writer whose first request meets a fault."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self._faults = [fault]

    def reserve(self, template: RequestTemplate, size: int) -> None:
        if self._faults:
            raise self._faults.pop()


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_a_fault_is_the_outcome_of_its_event_only(
    api_version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """500, INTERNAL, worth another try. The log has the kind and the place of the fault, not its text."""
    writer = FailsOnce(LookupError(f"no row for {SECRET}"))
    batch = BatchTransform(NOW, writer)
    chosen = destination(apiVersion=api_version)
    with caplog.at_level(logging.ERROR):
        first, second = (batch.add(n, track(f"order {n}"), chosen) for n in range(2))
        batch.flush()
    assert first.error is not None
    assert (first.status, first.error.code) == (500, ErrorCode.INTERNAL)
    assert (first.error.status, first.error.retryable) == (500, True)
    assert (second.status, second.error) == (200, None)
    assert [positions for _, positions in writer.requests] in ([1], [[1]])
    (record,) = caplog.records
    assert "LookupError at " in record.getMessage()
    assert f"{__name__.rpartition('.')[2]}.py:" in record.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_nesting_that_the_stack_cannot_hold_is_the_events_fault(api_version: str) -> None:
    """It is rejected as what cannot be read: another try would meet the same."""
    batch = BatchTransform(NOW, FailsOnce(RecursionError()))
    outcome = batch.add(0, track("order"), destination(apiVersion=api_version))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == (400, ErrorCode.INVALID_JSON)


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_a_request_for_which_there_is_no_room_is_rejected(api_version: str) -> None:
    """By the code that the writer gives; the events after it go out."""
    writer = FailsOnce(EventRejected(ErrorCode.TOO_LARGE, "too large for the caller"))
    batch = BatchTransform(NOW, writer)
    outcomes = [
        batch.add(n, track(f"order {n}"), destination(apiVersion=api_version)) for n in range(2)
    ]
    batch.flush()
    assert outcomes[0].error is not None
    assert (outcomes[0].error.code, outcomes[1].status) == (ErrorCode.TOO_LARGE, 200)
    requests: list[Request] = [request for request, _ in writer.requests]
    assert len(requests) == 1
