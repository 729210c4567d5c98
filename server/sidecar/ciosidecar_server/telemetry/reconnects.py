"""Streams that replace a stream which broke. The contract has no id of a client: a guess."""

import time
from collections import OrderedDict

from ..rpc.observer import StreamInfo

WITHIN_S = 60.0
_MOST = 1_000
_Client = tuple[str, str, str]


class Reconnects:
    """The clients whose streams broke within the last minute: those of one name, version and host."""

    def __init__(self) -> None:
        self._broken_at: OrderedDict[_Client, list[float]] = OrderedDict()

    def broke(self, stream: StreamInfo) -> None:
        """Remember that a stream ended without being finished."""
        client = _client(stream)
        self._broken_at.setdefault(client, []).append(time.monotonic())
        del self._broken_at[client][:-_MOST]
        self._broken_at.move_to_end(client)
        if len(self._broken_at) > _MOST:
            self._broken_at.popitem(last=False)

    def opened(self, stream: StreamInfo) -> bool:
        """Return whether a stream that opens replaces one that broke."""
        client = _client(stream)
        broken_at = self._broken_at.get(client)
        if not broken_at:
            return False
        newest = broken_at.pop()
        if not broken_at:
            del self._broken_at[client]
        return time.monotonic() - newest <= WITHIN_S


def _client(stream: StreamInfo) -> _Client:
    return stream.client_name, stream.client_version, stream.peer.rpartition(":")[0]
