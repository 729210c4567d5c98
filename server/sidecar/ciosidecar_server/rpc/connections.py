"""Connections on the wire → in the domain, and which stands under which number."""

from collections.abc import Iterable

import grpc
from ciosidecar.v1 import destination_pb2 as pb
from ciosidecar_transform.outcomes import ErrorCode
from ciosidecar_transform.settings.connections import Connection, Unusable, read_connection
from msgspec.json import encode

from .enums import enum_word
from .errors import ProtocolError
from .required import check_declaration
from .turns import LARGE_BYTES, Turns, in_thread

_OBJECTS = {pb.CONNECTION_OBJECT_PERSON: "person", pb.CONNECTION_OBJECT_EVENT: "event"}
_AUDIENCE_IDENTIFIERS = {
    pb.AUDIENCE_IDENTIFIER_ID: "id",
    pb.AUDIENCE_IDENTIFIER_EMAIL: "email",
    pb.AUDIENCE_IDENTIFIER_CIO_ID: "cio_id",
}
_UNKNOWN = Unusable(
    ErrorCode.UNKNOWN_CONNECTION,
    "no connection was declared under this reference id: declare it and send the event again (12.1)",
)


def config_json(connection: pb.SourceConnection) -> bytes:
    """The connection's settings as the dashboard's JSON, so that there is one path behind it."""
    if connection.WhichOneof("settings") != "typed":
        return connection.config_json
    typed = connection.typed
    return encode(
        {
            "object": enum_word(typed.object, _OBJECTS),
            "audienceId": typed.audience_id or None,
            "identifierMappings": [
                {"to": enum_word(typed.audience_identifier, _AUDIENCE_IDENTIFIERS)}
            ],
        }
    )


async def _read_declared(declared: pb.SourceConnection) -> Connection:
    if declared.ByteSize() > LARGE_BYTES:
        return await in_thread(lambda: read_connection(config_json(declared)))
    return read_connection(config_json(declared))


class KnownConnections:
    """What one stream, or one unary call, has declared, by number."""

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._by_number: dict[int, Connection] = {}

    async def upsert(self, connections: Iterable[pb.SourceConnection], turns: Turns) -> None:
        """Declares connections, or replaces them. One that cannot be used refuses its records.

        turns: of the message that declares them. Raises ProtocolError for a reference id below 1 or too many
        connections.
        """
        for index, declared in enumerate(connections):
            check_declaration(declared, f"connections[{index}]")
            if turns.over:
                await turns.next()
            self._by_number[declared.reference_id] = await _read_declared(declared)
            if len(self._by_number) > self._max_connections:
                raise ProtocolError(
                    "connections",
                    f"more than {self._max_connections} connections are declared here",
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                )

    def get(self, number: int) -> Connection | None:
        """The connection; None for number 0, which stands for none. SPEC 9.1, 12.1."""
        return self._by_number.get(number, _UNKNOWN) if number else None
