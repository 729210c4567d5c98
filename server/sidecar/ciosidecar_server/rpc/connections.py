"""Connections on the wire → in the domain, and which stands under which number."""

from collections.abc import Iterable

import grpc
from ciosidecar.v1 import destination_pb2 as pb
from ciosidecar_transform.outcomes import ErrorCode
from ciosidecar_transform.settings.connections import Connection, Unusable, read_connection
from msgspec.json import encode

from .errors import ProtocolError
from .turns import LARGE_BYTES, Turns, in_thread

_UNKNOWN = Unusable(
    ErrorCode.UNKNOWN_CONNECTION,
    "no connection was declared under this number: declare it and send the event again (12.1)",
)


def config_json(connection: pb.Connection) -> bytes:
    """The connection's settings as the dashboard's JSON, so that there is one path behind it."""
    if connection.WhichOneof("settings") != "typed":
        return connection.config_json
    typed = connection.typed
    return encode(
        {
            "object": typed.object or None,
            "audienceId": typed.audience_id or None,
            "identifierMappings": [{"to": typed.audience_identifier or None}],
        }
    )


async def _read_declared(declared: pb.Connection) -> Connection:
    if declared.ByteSize() > LARGE_BYTES:
        return await in_thread(lambda: read_connection(config_json(declared)))
    return read_connection(config_json(declared))


class KnownConnections:
    """What one stream, or one unary call, has declared, by number."""

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._by_number: dict[int, Connection] = {}

    async def upsert(self, connections: Iterable[pb.Connection], turns: Turns) -> None:
        """Declares connections, or replaces them. One that cannot be used refuses its records.

        turns: of the message that declares them. Raises ProtocolError for a number of 0 or too many connections.
        """
        for declared in connections:
            if declared.number == 0:
                raise ProtocolError("connections.number", "must be greater than 0")
            if turns.over:
                await turns.next()
            self._by_number[declared.number] = await _read_declared(declared)
            if len(self._by_number) > self._max_connections:
                raise ProtocolError(
                    "connections",
                    f"more than {self._max_connections} connections are declared here",
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                )

    def get(self, number: int) -> Connection | None:
        """The connection; None for number 0, which stands for none. SPEC 9.1, 12.1."""
        return self._by_number.get(number, _UNKNOWN) if number else None
