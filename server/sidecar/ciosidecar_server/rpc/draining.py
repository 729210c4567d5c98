"""The shutdown of the server, as its streams see it."""

import asyncio


class Draining:
    """A shutdown that begins once, and that every stream waits for."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self.grace_s = 0.0

    def begin(self, grace_s: float) -> None:
        """Begin the shutdown for all streams, also for those that open from now on."""
        self.grace_s = grace_s
        self._begun.set()

    async def begun(self) -> None:
        """Wait until the shutdown begins."""
        await self._begun.wait()
