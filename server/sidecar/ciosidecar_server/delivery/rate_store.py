"""Where several sidecars keep the rate of a workspace together: the interface of the store, and what it reports."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class LeaseRequest(NamedTuple):
    """A sidecar's news of a workspace, and the tokens that it wants."""

    workspace: str
    """The name of the workspace. It contains no credentials."""
    wanted: int
    """The number of tokens; 0 to exchange the news alone."""
    returned: int
    """The number of leased tokens that were not used."""
    rate_per_s: float
    """The full rate of the workspace. Unit: requests a second."""
    span_s: float
    """The time that the tokens of one lease last at most, if every sidecar asks for as much."""
    fraction: float
    """The share of the full rate that held last. It holds again if the store has lost the workspace."""
    least_fraction: float
    """The share of the full rate below which 429s do not lower it."""
    success_age_s: float | None = None
    """How long ago a request was accepted; None if none was since the last exchange."""
    throttled_age_s: float | None = None
    """How long ago the latest request was sent that was answered 429; None if none was since the last exchange."""


class Lease(NamedTuple):
    """Tokens of a workspace, and what holds for all its sidecars."""

    tokens: int
    start_in_s: float
    """How long until the tokens may be used."""
    fraction: float
    """The share of the full rate that holds now."""
    lowered_age_s: float
    """How long ago the rate was last lowered."""
    sharers: int
    """The number of sidecars that lately asked for tokens of the workspace, this sidecar included."""


class RateStoreError(Exception):
    """The store did not do what it was asked for."""

    def __init__(self, kind: str, *, workspace_only: bool = False) -> None:
        """Tell why.

        Args:
            kind: connection, timeout, loading, read_only, memory, auth, type, or other.
            workspace_only: whether only the named workspace is concerned, and others are served.
        """
        super().__init__(kind)
        self.kind = kind
        self.workspace_only = workspace_only


class RateStore(Protocol):
    """The rates of all workspaces, shared by all sidecars. Each method ends within a second, whatever the store does."""

    async def lease(self, request: LeaseRequest) -> Lease:
        """Exchange news of a workspace, and take tokens.

        Raises:
            RateStoreError: There are none.
        """

    async def register(self) -> int:
        """Note that this sidecar is there. Return the number of sidecars that were there lately.

        Raises:
            RateStoreError: The store did not answer, or cannot be written.
        """

    async def aclose(self) -> None:
        """Note that this sidecar ends, if that can be done quickly, and close all connections."""


class RateStoreSnapshot(NamedTuple):
    """The state of the rate store as this sidecar sees it."""

    up: bool
    sidecars: int
    """The number of sidecars that share a workspace's rate, as far as is known."""
    exchanges: int
    """The number of exchanges that succeeded."""
    tokens: int
    """The number of tokens that were leased."""
    errors: Mapping[str, int]
    """The number of errors by kind."""
    last_error: str
    """The kind of the last error; "" if there was none."""
    fallback_s: float
    """The time during which the store was away, all in all."""
