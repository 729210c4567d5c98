"""Customer.io's answers: whatever comes, a bounded outcome for each job, in words that can be shown.

An input is written as an HTTP response: a line with the status, a line for each header, an empty line, the body.
"""

from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from ciosidecar_server.delivery.accepted import accepted
from ciosidecar_server.delivery.content_encoding import decompressed
from ciosidecar_server.delivery.endpoints import TrackApiEndpoints
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.outcomes import DeliveryOutcome, failed, refused
from ciosidecar_server.delivery.probe import probe
from ciosidecar_server.delivery.request_batch import RequestBatch
from ciosidecar_server.delivery.responses import Disposition, classify
from ciosidecar_server.delivery.retry import MAX_RETRY_AFTER_S, retry_after_s
from ciosidecar_server.delivery.transport import Response
from ciosidecar_transform.requests import BASE_URLS, Request, SharedItem, endpoints

_ENDPOINTS = TrackApiEndpoints()
_TRACK_API = endpoints(BASE_URLS["US"], "site", "key")
_NOW = datetime(2027, 1, 15, tzinfo=UTC)
_MAX_BYTES = 100_000
# Three reasons of 1,024 bytes, with what stands between and before them.
_MOST_SHOWN = 3 * 1024 + len("; ; ") + len("Customer.io answered 599: ")


def try_response(data: bytes) -> None:
    """Classify a response, and report the jobs of the requests that it answers."""
    response = _read(data)
    classification = classify(response)
    for failure in classification.failures:
        assert _is_shown(failure.reason)
        assert _is_shown(failure.field)
        assert failure.item is None or 0 <= failure.item < 1_000_000
    after_s = retry_after_s(response.headers.get("retry-after"), _NOW)
    assert after_s is None or 0 <= after_s <= MAX_RETRY_AFTER_S
    redirected_url = _ENDPOINTS.redirected(response.headers.get("location"))
    assert redirected_url is None or redirected_url in BASE_URLS.values()
    if classification.disposition is Disposition.DELIVERED:
        _check_accepted(response)
    elif classification.disposition is Disposition.TRY_AGAIN:
        _check_failed(failed(response.status, classification.failures, after_s))
    elif classification.disposition is Disposition.REFUSED:
        outcome = refused(response.status, classification.failures)
        assert outcome.error is not None
        assert (outcome.status, outcome.error.retryable) == (response.status, False)
    _run(_check_probe(response))


def _check_failed(outcome: DeliveryOutcome) -> None:
    assert outcome.status in (408, 429) or 500 <= outcome.status < 600
    assert outcome.error is not None
    assert outcome.error.retryable
    assert _is_shown(outcome.reason)


def _check_accepted(response: Response) -> None:
    """Each job of a request that was accepted has one outcome."""
    item = SharedItem(_TRACK_API.batch, "/api/v2/batch", b'{"type":"person"}')
    whole = Request(_TRACK_API.batch, "/api/v2/batch", b'{"batch":[{},{},{}]}')
    for jobs in ([_job(item)], [_job(item) for _ in range(3)], [_job(whole, prepared=True)]):
        outcomes = list(accepted(RequestBatch(jobs), response.status, classify(response)))
        assert [job for alike, _ in outcomes for job in alike] == jobs
        for _, outcome in outcomes:
            assert outcome.status in (200, 207, 400)
            assert (outcome.status == 200) == (outcome.error is None)
            assert _is_shown(outcome.reason)


def _job(request: Request | SharedItem, *, prepared: bool = False) -> Job:
    nobody: Any = None  # no job is settled here
    return Job(request, (), 0.0, nobody, 0, prepared=prepared)


class _OneAnswer:
    """A transport whose every request has the same response."""

    def __init__(self, response: Response) -> None:
        self._response = response

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Response:
        """Return the response. Requests go to the two known hosts."""
        assert url.startswith(tuple(f"{base_url}/api/" for base_url in BASE_URLS.values())), url
        return self._response

    async def aclose(self) -> None:
        """Do nothing."""


async def _check_probe(response: Response) -> None:
    probed = await probe(_TRACK_API.batch, _OneAnswer(response), _ENDPOINTS, 1.0)
    assert probed.region in (None, *BASE_URLS)
    assert 0 <= probed.environment_id < 2**64
    assert _is_shown(probed.reason)
    assert probed.credentials_accepted or response.status != 200 or probed.region is None


def _run(check: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing: an event loop would take most of the time."""
    try:
        check.send(None)
    except StopIteration:
        return
    raise AssertionError("the check waits")


def _is_shown(text: str) -> bool:
    """Return whether a text is one line of bounded length, and can be sent as protobuf."""
    return len(text.encode()) <= _MOST_SHOWN and text.isprintable()


def _read(data: bytes) -> Response:
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    status = int(first) if first.isascii() and first.isdecimal() and len(first) == 3 else 200
    headers = {}
    for line in lines:
        name, _, text = line.partition(": ")
        headers[name.lower()] = text
    content, whole = decompressed(body, headers.get("content-encoding", ""), _MAX_BYTES)
    assert len(content) <= max(_MAX_BYTES, len(body))
    return Response(status, headers, content, whole)
