"""The rate store in Redis: two scripts, and one connection on which everything that is due goes together."""

import asyncio
import uuid
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from redis import asyncio as redis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ..delivery.rate_limiter import (
    BETWEEN_LOWERINGS_S,
    BURST_S,
    LOWERING,
    MOST_BETWEEN_SUCCESSES_S,
    RAISING_PER_S,
)
from ..delivery.rate_store import Lease, LeaseRequest, RateStoreError

PREFIX = "{ciosidecar:rate:v1}:"
"""The beginning of every key. The version is that of the scripts; the braces keep all keys in one slot of a cluster."""
TIMEOUT_S = 0.2
"""The time that Redis may take for an answer."""
_LATE_S = 0.05
"""The time that an answer may take which came while the process was busy."""
_CONNECT_S = 1.0
"""The time that connecting may take. No lease waits for it longer than for an answer."""
_REGISTERED_S = 10.0
_TTL_MS = 600_000
_MOST_TOGETHER = 200
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.BusyLoadingError, "loading"),
    (exceptions.AuthenticationError, "auth"),
    (exceptions.AuthorizationError, "auth"),
    (exceptions.NoPermissionError, "auth"),
    (exceptions.ReadOnlyError, "read_only"),
    (exceptions.OutOfMemoryError, "memory"),
    (exceptions.TimeoutError, "timeout"),
    (exceptions.ConnectionError, "connection"),
    (OSError, "connection"),
)
_T = TypeVar("_T")


class _Call(NamedTuple):
    script: str
    keys: tuple[str, ...]
    arguments: tuple[str | float, ...]
    future: "asyncio.Future[Any]"


def _text(name: str) -> str:
    return Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8")


class RedisRateStore:
    """The rates of all workspaces in one Redis."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Args:
            url: redis://, rediss:// or unix://, as redis-py reads it.

        Raises:
            ValueError: The URL is not one of these.
        """
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_S,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
        try:
            pool = self._redis.connection_pool
            pool.connection_class(**pool.connection_kwargs)
        except TypeError as problem:
            option = str(problem).rpartition("argument ")[2]
            raise ValueError(f"redis-py does not take the option {option}") from None
        except (AttributeError, exceptions.RedisError):
            # Not with its own words, which may repeat what the URL has.
            raise ValueError("redis-py does not take the value of an option") from None
        self._sidecar = uuid.uuid4().hex[:16]
        self._scripts = {name: _text(name) for name in ("lease", "register")}
        self._shas: dict[str, str] = {}
        self._queue: list[_Call] = []
        self._flushing: asyncio.Task[None] | None = None
        self._connected = False

    async def lease(self, request: LeaseRequest) -> Lease:
        """Exchange news of a workspace, and take tokens.

        Raises:
            RateStoreError: There are none.
        """
        key = f"{PREFIX}workspace:{request.workspace}"
        answer = await self._call(
            "lease",
            (key, f"{key}:askers"),
            self._sidecar,
            request.wanted,
            request.returned,
            request.rate_per_s,
            request.span_s,
            request.fraction,
            request.least_fraction,
            -1 if request.success_age_s is None else request.success_age_s,
            -1 if request.throttled_age_s is None else request.throttled_age_s,
            BURST_S,
            LOWERING,
            RAISING_PER_S,
            BETWEEN_LOWERINGS_S,
            MOST_BETWEEN_SUCCESSES_S,
            _TTL_MS,
        )
        try:
            tokens, start_in_us, fraction, lowered_age_us, sharers = map(float, answer)
        except (TypeError, ValueError):
            raise RateStoreError("other", workspace_only=True) from None
        return Lease(int(tokens), start_in_us / 1e6, fraction, lowered_age_us / 1e6, int(sharers))

    async def register(self) -> int:
        """Note that this sidecar is there. Return the number of sidecars that were there lately.

        Raises:
            RateStoreError: Redis did not answer, or cannot be written.
        """
        return await self._register(1)

    async def _register(self, there: int) -> int:
        answer = await self._call(
            "register", (f"{PREFIX}sidecars",), self._sidecar, _REGISTERED_S, there
        )
        try:
            return int(answer)
        except (TypeError, ValueError):
            raise RateStoreError("other") from None

    async def aclose(self) -> None:
        """Note that this sidecar ends, and close the connection."""
        if self._connected:
            with suppress(RateStoreError):
                await self._register(0)
        with suppress(Exception):
            await _bounded(self._redis.aclose())

    async def _call(self, script: str, keys: tuple[str, ...], *arguments: str | float) -> Any:
        """Run a script, with the others that are due."""
        future = asyncio.get_running_loop().create_future()
        self._queue.append(_Call(script, keys, arguments, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        """Send what is due until nothing is."""
        try:
            while self._queue:
                calls = self._queue[:_MOST_TOGETHER]
                del self._queue[:_MOST_TOGETHER]
                await self._answer(calls)
        finally:
            self._flushing = None

    async def _answer(self, calls: Sequence[_Call]) -> None:
        try:
            answers = await self._run(calls)
        except asyncio.CancelledError:
            for call in calls:
                call.future.cancel()
            raise
        except Exception as problem:  # noqa: BLE001 - whatever happens, each caller is answered
            self._connected = False
            answers = [problem] * len(calls)
        for call, answer in zip(calls, answers, strict=True):
            if call.future.done():
                continue
            if isinstance(answer, Exception):
                call.future.set_exception(_error(answer, alone=call.script == "lease"))
            else:
                call.future.set_result(answer)

    async def _run(self, calls: Sequence[_Call]) -> list[Any]:
        """Run scripts together. Connect first if need be, and load the scripts if Redis does not know them."""
        if not self._connected:
            await self._connect(calls)
        answers = await self._run_known(calls)
        if any(isinstance(answer, exceptions.NoScriptError) for answer in answers):
            await self._load()
            missed = [
                position
                for position, answer in enumerate(answers)
                if isinstance(answer, exceptions.NoScriptError)
            ]
            again = await self._run_known([calls[position] for position in missed])
            for position, answer in zip(missed, again, strict=True):
                answers[position] = answer
        return answers

    async def _connect(self, calls: Sequence[_Call]) -> None:
        """Connect and load the scripts, and meanwhile let no lease wait for long."""
        giving_up = asyncio.get_running_loop().call_later(TIMEOUT_S, self._give_up, calls)
        try:
            await self._load(_CONNECT_S)
        finally:
            giving_up.cancel()
        self._connected = True

    def _give_up(self, calls: Sequence[_Call]) -> None:
        """Answer leases that wait for the connection."""
        for call in (*calls, *self._queue):
            if call.script == "lease" and not call.future.done():
                call.future.set_exception(RateStoreError("timeout"))

    async def _run_known(self, calls: Sequence[_Call]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for call in calls:
            pipeline.evalsha(self._shas[call.script], len(call.keys), *call.keys, *call.arguments)
        return await _bounded(pipeline.execute(raise_on_error=False))

    async def _load(self, timeout_s: float = TIMEOUT_S) -> None:
        for name, text in self._scripts.items():
            self._shas[name] = await _bounded(self._redis.script_load(text), timeout_s)


async def _bounded(work: Awaitable[_T], timeout_s: float = TIMEOUT_S) -> _T:
    """Return the result of something that Redis answers in time.

    Raises:
        RateStoreError: Redis does not. The connection is closed.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,), timeout=timeout_s)
        if not task.done():
            # The time may have passed while the event loop was held up: look once more at what has arrived.
            await asyncio.wait((task,), timeout=_LATE_S)
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=_LATE_S)
    raise RateStoreError("timeout")


def _error(problem: Exception, *, alone: bool) -> RateStoreError:
    """Return what a failure means. alone: whether an answer that names no trouble of Redis concerns one workspace."""
    if isinstance(problem, RateStoreError):
        return problem
    for exception, kind in _KINDS:
        if isinstance(problem, exception):
            return RateStoreError(kind)
    kind = "type" if str(problem).startswith("WRONGTYPE") else "other"
    return RateStoreError(kind, workspace_only=alone)
