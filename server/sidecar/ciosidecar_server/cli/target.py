"""The running sidecar that a command uses: its address, TLS and token."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from ciosidecar import AsyncClient, CallFailed, Tls, Unavailable

from ..addresses import ABSTRACT, UNIX
from .diagnosis import why_no_answer
from .outcome import EXIT_USAGE, Failed
from .sidecar_access import SidecarAccess

_ANSWER_WITHIN_S = 3.0
_PAUSE_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Target(SidecarAccess):
    """A running sidecar."""

    target: str | None = None
    """Address of a running sidecar. Without it, the command starts a sidecar of its own."""

    @asynccontextmanager
    async def client(self, address: str) -> AsyncIterator[AsyncClient]:
        """Return a client of the sidecar at the address, once the sidecar has answered a call.

        Raises:
            Failed: An option cannot be used, or the sidecar does not answer. The text says why.
        """
        tls = None if address.startswith((UNIX, ABSTRACT)) else self.tls()
        self.check_token()
        token = None if self.token_file is None else self.read_token
        try:
            made = AsyncClient(address, tls=tls, token=token, insecure=self.insecure)
        except ValueError as fault:
            hint = ""
            if self.token_file is not None and tls is None:
                hint = " (--tls-ca turns TLS on, --insecure allows a token without TLS)"
            raise Failed(f"--target (or CIOSIDECAR_TARGET): {fault}{hint}", EXIT_USAGE) from None
        async with made as client:
            await self._ask(client, tls)
            yield client

    async def _ask(self, client: AsyncClient, tls: Tls | None) -> None:
        """Make a call, so that what is wrong with the connection is said before any input is read."""
        give_up_at = time.monotonic() + _ANSWER_WITHIN_S
        while True:
            try:
                await client.capabilities(timeout_s=_ANSWER_WITHIN_S)
            except Unavailable as problem:
                # A sidecar that is only just starting gets a moment.
                if time.monotonic() < give_up_at:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                await self._fail(str(problem), tls)
            except CallFailed as problem:
                await self._fail_refused(problem, tls)
            return

    async def _fail_refused(self, problem: CallFailed, tls: Tls | None) -> None:
        if problem.code == grpc.StatusCode.DEADLINE_EXCEEDED:
            await self._fail(f"no answer within {_ANSWER_WITHIN_S:g} s", tls)
        if problem.code == grpc.StatusCode.UNAUTHENTICATED:
            what = (
                "needs a bearer token: give one with --token-file"
                if self.token_file is None
                else f"does not accept the token in {self.token_file}: compare it with the sidecar's"
                " --auth-token-file"
            )
            raise Failed(f"the sidecar at {self.target} {what}")
        raise Failed(f"no answer from the sidecar: {problem}")

    async def _fail(self, details: str, tls: Tls | None) -> None:
        reason = await asyncio.to_thread(why_no_answer, self.target or "", tls)
        raise Failed(f"no answer from the sidecar at {self.target}: {reason or details}")
