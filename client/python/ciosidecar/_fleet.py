"""The sidecars of a client one by one: a channel to exactly one address each."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ciosidecar import v1
from ciosidecar._addresses import as_list


class Sidecar(NamedTuple):
    """One sidecar: its address, and the stub of a channel to it alone."""

    address: str
    stub: Any


class Fleet:
    """The sidecars of a client. Their channels are made when they are first asked for.

    Args:
        addresses: The addresses of the client.
        channel_to: Returns a new channel to one address.
    """

    def __init__(
        self, addresses: str | Sequence[str], channel_to: Callable[[str], Any] | None
    ) -> None:
        self._addresses = list(dict.fromkeys(as_list(addresses)))
        self._channel_to = channel_to
        self.channels: list[Any] = []
        self._sidecars: list[Sidecar] = []

    def sidecars(self) -> list[Sidecar]:
        """Return the sidecars, one for each address.

        Raises:
            ValueError: The client has a channel of the caller's own, or fewer than two addresses.
        """
        if self._channel_to is None or len(self._addresses) < 2:
            raise ValueError(
                "affinity needs a client with the addresses of several sidecars, as a list"
            )
        if not self._sidecars:
            self.channels = [self._channel_to(address) for address in self._addresses]
            self._sidecars = [
                Sidecar(address, v1.SidecarServiceStub(channel))
                for address, channel in zip(self._addresses, self.channels, strict=True)
            ]
        return self._sidecars
