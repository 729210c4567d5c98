"""Unary calls that declare the same destination again and again: the server keeps it for a while."""

import asyncio
import base64
import gc
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server.rpc import recent_destinations
from ciosidecar_server.rpc.destinations import KnownDestinations
from ciosidecar_server.rpc.templates import EncodedTemplates
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


async def test_equal_settings_are_two_destinations(stub: Stub) -> None:
    """Items share requests with those of their own destination alone, as on a stream (rule 10.3)."""
    settings = b'{"siteID":"site","apiKey":"key","apiVersion":"v2"}'
    items = [v1.BatchItem(destination=1 + number % 2, json=TRACK) for number in range(6)]
    request = v1.TransformRequest(
        destinations=[destination(1, settings), destination(2, settings)],
        batch=v1.Batch(batch_id=1, items=items),
    )
    for _ in range(2):
        response: Any = await stub.Transform(request)
        found = [list(one.positions) for one in response.results.requests]
        assert sorted(found) == [[0, 2, 4], [1, 3, 5]]


async def test_templates_are_forgotten_whatever_was_declared(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the credentials, also of settings that are too large to be kept."""
    monkeypatch.setattr(recent_destinations, "_FORGOTTEN_AFTER_S", 0.05)
    gc.collect()
    before = {id(one) for one in gc.get_objects() if type(one) is EncodedTemplates}
    stub = await connect()
    settings = b'{"siteID":"large","apiKey":"key","note":"%b"}' % (b"x" * 10_000)
    assert await authorization(stub, settings) == "large:key"

    def is_kept() -> bool:
        return any(
            type(one) is EncodedTemplates and id(one) not in before for one in gc.get_objects()
        )

    async with asyncio.timeout(WITHIN_S):
        while is_kept():  # noqa: ASYNC110 - nothing tells when they are forgotten
            await asyncio.sleep(0.05)


async def test_a_fault_in_a_look_up_is_its_items_alone(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next item of the same destination goes there, and not to the destination before."""
    known_get, faults = KnownDestinations.get, [MemoryError()]

    def get(self: KnownDestinations, reference_id: int, listed: Any) -> Any:
        if reference_id == 2 and faults:
            raise faults.pop()
        return known_get(self, reference_id, listed)

    monkeypatch.setattr(KnownDestinations, "get", get)
    items = [v1.BatchItem(destination=number, json=TRACK) for number in (1, 2, 2, 1)]
    request = v1.TransformRequest(
        destinations=[destination(1, config("one")), destination(2, config("two"))],
        batch=v1.Batch(batch_id=1, items=items),
    )
    response: Any = await stub.Transform(request)
    results = response.results
    assert list(results.statuses) == [200, 500, 200, 200]
    sites = {
        position: base64.b64decode(
            results.templates[one.template].headers["Authorization"].removeprefix("Basic ")
        )
        for one in results.requests
        for position in one.positions
    }
    assert sites == {0: b"one:key", 2: b"two:key", 3: b"one:key"}
