"""Who may call: Basic authentication, with keys compared only when they were given."""

from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.sandbox.support import Track

CALLS = [
    ("GET", "/api/v1/accounts/region"),
    ("PUT", "/api/v1/customers/u1"),
    ("DELETE", "/api/v1/customers/u1"),
    ("POST", "/api/v1/customers/u1/events"),
    ("PUT", "/api/v1/customers/u1/devices"),
    ("DELETE", "/api/v1/customers/u1/devices/t"),
    ("POST", "/api/v1/customers/u1/suppress"),
    ("POST", "/api/v1/events"),
    ("POST", "/api/v1/merge_customers"),
    ("POST", "/api/v1/segments/7/add_customers"),
    ("POST", "/api/v1/forms/f/submit"),
    ("POST", "/api/v2/entity"),
    ("POST", "/api/v2/batch"),
]


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def strict() -> Iterator[str]:
    """The URL of a sandbox that compares keys."""
    with running_sandbox(site_id="sité", api_key="k:ey") as running:
        yield running.url


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "header",
    [None, "", "Basic", "Basic !!", "Bearer abc", basic("no colon"), "Basic " + "A" * 5],
)
def test_calls_need_basic_credentials(
    track: Track, method: str, path: str, header: str | None
) -> None:
    """401 otherwise, before anything else is looked at."""
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.request(method, track.url + path, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"meta": {"error": "Unauthorized request"}}


@pytest.mark.parametrize("header", [basic("any:thing"), basic(":"), "bAsIc " + basic("a:b")[6:]])
def test_without_keys_any_credentials_do(track: Track, header: str) -> None:
    """The sandbox of somebody without an account."""
    answer = httpx.get(track.url + "/api/v1/accounts/region", headers={"Authorization": header})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("credentials", "status"),
    [("sité:k:ey", 200), ("sité:key", 401), ("site:k:ey", 401), (":", 401), ("sité:k:ey ", 401)],
)
def test_given_keys_are_compared(strict: str, credentials: str, status: int) -> None:
    """Right after a good call too."""
    for text, expected in (("sité:k:ey", 200), (credentials, status), ("sité:k:ey", 200)):
        headers = {"Authorization": basic(text)}
        answer = httpx.get(f"{strict}/api/v1/accounts/region", headers=headers)
        assert answer.status_code == expected
