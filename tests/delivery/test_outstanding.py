"""What a stream may have outstanding, and each workspace's share of that, counted exactly."""

from typing import Any

import pytest
from ciosidecar_server.rpc.counting import UNKNOWN_DESTINATION
from ciosidecar_server.rpc.flow_control import FlowControl
from ciosidecar_server.rpc.item_job import ItemJob
from ciosidecar_transform import Outcome


def counted(flow: FlowControl, workspace: Any, jobs: int, size: int) -> list[ItemJob]:
    """Jobs of a workspace that count from now on."""
    nothing: Any = None
    outcome = Outcome(200, [])
    made = [
        ItemJob(
            *(nothing, (), 0.0, nothing, number),
            size=size,
            label=UNKNOWN_DESTINATION,
            outcome=outcome,
        )
        for number in range(jobs)
    ]
    flow.count(workspace, made)
    return made


@pytest.mark.parametrize(
    ("events", "size", "available"),
    [(9, 99, True), (10, 0, False), (0, 100, False), (10, 100, False), (0, 0, True)],
)
def test_reading_stops_at_either_limit(events: int, size: int, available: bool) -> None:
    """Ten events or a hundred bytes, and goes on once some of them are written."""
    flow = FlowControl(10, 100)
    flow.add(events, size)
    assert flow.available is available
    flow.remove(events, size)
    assert flow.available


@pytest.mark.parametrize(("workspaces", "share"), [(1, 10), (5, 10), (10, 5), (50, 1)])
def test_workspaces_in_trouble_share_half(workspaces: int, share: int) -> None:
    """Each has an equal part of half of the stream, at most a tenth of the whole."""
    flow = FlowControl(100, 10_000)
    for number in range(1, workspaces):
        counted(flow, f"other {number}", 1, 0)
    counted(flow, "w", share - 1, 0)
    if share > 1:
        assert not flow.share_used("w")  # type: ignore[arg-type]
        assert list(flow.excess("w")) == []  # type: ignore[arg-type]
    jobs = counted(flow, "w", 4, 0)
    assert flow.share_used("w")  # type: ignore[arg-type]
    # The latest go first.
    assert list(flow.excess("w")) == jobs[:0:-1]  # type: ignore[arg-type]
    assert len(flow.workspaces) == workspaces
    assert [*map(str, flow.over_share())] == ["w"]


@pytest.mark.parametrize(
    ("jobs", "size", "excess"),
    [(3, 600, 2), (2, 500, 0), (2, 501, 1), (1, 5_000, 0), (2, 5_000, 1)],
)
def test_a_share_has_bytes_too(jobs: int, size: int, excess: int) -> None:
    """A tenth of the stream's; one job stays, however large."""
    flow = FlowControl(100, 10_000)
    made = counted(flow, "w", jobs, size)
    assert list(flow.excess("w")) == made[: len(made) - excess - 1 : -1]  # type: ignore[arg-type]
    assert [*map(str, flow.over_share())] == (["w"] if excess else [])


def test_answered_jobs_count_no_more() -> None:
    """Nor does their workspace, once all are answered; a job that never counted changes nothing."""
    flow = FlowControl(100, 10_000)
    jobs = counted(flow, "w", 10, 100)
    assert flow.share_used("w")  # type: ignore[arg-type]
    flow.release(jobs[:1])
    flow.release(jobs[:1])
    assert not flow.share_used("w")  # type: ignore[arg-type]
    flow.release(jobs)
    assert list(flow.workspaces) == []
    assert not flow.share_used("w")  # type: ignore[arg-type]
    assert list(flow.excess("w")) == []  # type: ignore[arg-type]


def test_a_unary_call_has_no_limit() -> None:
    """Its batch and its message are limited by themselves."""
    flow = FlowControl.unlimited()
    flow.add(10_000_000, 10**12)
    assert flow.available
