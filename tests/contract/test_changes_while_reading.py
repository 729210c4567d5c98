"""Files of destinations that change while they are read, which takes seconds where there are many."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server import server_destinations
from ciosidecar_server.testing import async_server
from grpc import aio

from tests.contract.test_server_destinations import NAMED, authorization, transformed, write

WITHIN_S = 30
INLINE = '[destinations.shop]\nsiteID = "site"\napiKey = "{}"\n'
BY_FILE = '[destinations.shop]\nsiteID = "site"\napiKey = "file:key"\n'


def once_while_reading(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]) -> None:
    """Change something after the files were read for the next time, and before that reading is over."""
    changes = [change]
    real = server_destinations.checked_destination

    def checked(listed: Any, known: Any) -> Any:
        if changes:
            changes.pop()()
        return real(listed, known)

    monkeypatch.setattr(server_destinations, "checked_destination", checked)


async def until_key(address: str, key: str) -> None:
    """Ask for an event until its request has the key of the file."""
    async with aio.insecure_channel(address) as channel, asyncio.timeout(WITHIN_S):
        stub = v1.SidecarServiceStub(channel)
        while True:
            results = await transformed(stub, NAMED)
            if results.templates[0].headers["Authorization"] == authorization("site", key):
                return
            await asyncio.sleep(0.05)


async def test_a_file_that_changes_during_the_first_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again."""
    path = write(tmp_path / "destinations.toml", INLINE.format("old"))
    once_while_reading(monkeypatch, lambda: write(path, INLINE.format("new")))
    async with async_server(destinations=path) as running:
        await until_key(running.address, "new")


async def test_a_file_that_is_newly_referred_to_and_changes_during_that_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is read again, although nothing else changes."""
    path = write(tmp_path / "destinations.toml", INLINE.format("first"))
    async with async_server(destinations=path) as running:
        await until_key(running.address, "first")
        key = write(tmp_path / "key", "second")
        once_while_reading(monkeypatch, lambda: write(key, "third"))
        write(path, BY_FILE)
        await until_key(running.address, "third")
