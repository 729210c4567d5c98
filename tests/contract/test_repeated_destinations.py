"""Unary calls that declare the same destination again and again: the server keeps it for a while."""

import asyncio
import base64
import gc
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server.rpc import recent_destinations
from ciosidecar_transform import Destination

from tests.conftest import Connect, Stub, batch, destination

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
CONFIG = b'{"siteID":"%b","apiKey":"%b"}'
WITHIN_S = 30


def config(site: str, key: str = "key") -> bytes:
    """The settings of a destination."""
    return CONFIG % (site.encode(), key.encode())


async def authorization(stub: Stub, settings: bytes, event: bytes = TRACK) -> str:
    """The credentials in the request that an event becomes."""
    request = v1.TransformRequest(destinations=[destination(1, settings)], batch=batch(event))
    response: Any = await stub.Transform(request)
    (template,) = response.results.templates
    scheme, _, credentials = template.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(credentials).decode()


async def test_the_settings_of_a_call_hold_for_that_call(stub: Stub) -> None:
    """Whatever other calls declare under the same reference id, before or after, or with one letter more."""
    for _ in range(3):
        for site, key in (("a", "1"), ("b", "1"), ("a", "2"), ("a", "12")):
            assert await authorization(stub, config(site, key)) == f"{site}:{key}"


async def test_settings_that_each_event_fills_in_are_read_from_each_event(stub: Stub) -> None:
    """They are not those of the event before."""
    settings = config("site", "{{ context.workspace.key || none }}")
    for key in ("1", "2"):
        event = (
            b'{"type":"track","userId":"u1","event":"Order","context":{"workspace":{"key":"%b"}}}'
        )
        found = await authorization(stub, settings, event % key.encode())
        assert found == f"site:{key}"


async def test_unusable_settings_are_refused_each_time(stub: Stub) -> None:
    """Usable ones of the next call are used."""
    for _ in range(2):
        request = v1.TransformRequest(
            destinations=[destination(1, b'{"siteID":"site"}')], batch=batch(TRACK)
        )
        response: Any = await stub.Transform(request)
        assert list(response.results.statuses) == [400]
        assert await authorization(stub, config("site")) == "site:key"


async def test_more_destinations_than_are_kept(stub: Stub) -> None:
    """Each is read again when it is needed."""
    for number in [*range(500), *range(500)]:
        assert await authorization(stub, config(f"site-{number}")) == f"site-{number}:key"


def _is_kept(credentials: str) -> bool:
    """Whether this process has a destination with these credentials."""
    encoded = base64.b64encode(credentials.encode()).decode()
    kept = [one for one in gc.get_objects() if type(one) is Destination]
    return any(one.endpoints.event.headers["Authorization"].endswith(encoded) for one in kept)


async def test_credentials_are_forgotten(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing keeps a destination that no call has declared for a while."""
    monkeypatch.setattr(recent_destinations, "_FORGOTTEN_AFTER_S", 0.05)
    stub = await connect()
    assert await authorization(stub, config("forgotten")) == "forgotten:key"
    async with asyncio.timeout(WITHIN_S):
        while _is_kept("forgotten:key"):  # noqa: ASYNC110 - nothing tells when it is forgotten
            await asyncio.sleep(0.05)
