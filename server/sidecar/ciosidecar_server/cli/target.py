"""The running sidecar that a command uses: its address, TLS and token."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from ciosidecar import AsyncClient, CallFailed, Tls, Unavailable

from ..addresses import ABSTRACT, UNIX, CannotListen
from ..certificates import read_authorities, read_certificates
from ..tokens import read_first_token
from .diagnosis import why_no_answer
from .outcome import EXIT_USAGE, Failed

_ANSWER_WITHIN_S = 3.0
_PAUSE_S = 0.2
SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running sidecar."""

    target: str | None = None
    """Address of a running sidecar. Without it, the command starts a sidecar of its own."""

    tls_ca: str | None = None
    """PEM file with the CA certificates that the certificate of --target must be signed by, or `system` for
    those of this machine. Enables TLS. TLS is not for unix sockets."""

    tls_cert: Path | None = None
    """PEM file with the certificate chain that the command presents to --target. Enables TLS."""

    tls_key: Path | None = None
    """PEM file with the private key of --tls-cert."""

    tls_server_name: str | None = None
    """Name in the certificate of --target, if it is not the host of the address. Enables TLS."""

    token_file: Path | None = None
    """File with the bearer token for --target: its first line that is neither blank nor a comment (#)."""

    insecure: bool = False
    """Allow a token without TLS to another machine."""

    @asynccontextmanager
    async def client(self, address: str) -> AsyncIterator[AsyncClient]:
        """Return a client of the sidecar at the address, once the sidecar has answered a call.

        Raises:
            Failed: An option cannot be used, or the sidecar does not answer. The text says why.
        """
        tls = None if address.startswith((UNIX, ABSTRACT)) else self._tls()
        self._check_token()
        token = None if self.token_file is None else self._token
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

    def _tls(self) -> Tls | None:
        given = (self.tls_ca, self.tls_cert, self.tls_key, self.tls_server_name)
        if not any(given):
            return None
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Failed("give --tls-cert and --tls-key together, or neither", EXIT_USAGE)
        try:
            authorities = (
                None
                if self.tls_ca in (None, SYSTEM)
                else read_authorities("--tls-ca", Path(self.tls_ca or ""))
            )
            own = (
                read_certificates(self.tls_cert, self.tls_key, None)
                if self.tls_cert and self.tls_key
                else None
            )
        except CannotListen as problem:
            raise Failed(str(problem), EXIT_USAGE) from None
        return Tls(
            root_certificates=authorities,
            private_key=None if own is None else own.key,
            certificate_chain=None if own is None else own.chain,
            server_name=self.tls_server_name,
        )

    def _check_token(self) -> None:
        if self.token_file is None:
            return
        try:
            self._token()
        except ValueError as problem:
            raise Failed(str(problem), EXIT_USAGE) from None

    def _token(self) -> str:
        """Return the token of --token-file. The client asks for it again with each call.

        Raises:
            ValueError: The file cannot be used. The client shows the text of this exception.
        """
        try:
            return read_first_token("--token-file", self.token_file or Path())
        except CannotListen as problem:
            raise ValueError(str(problem)) from None

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
