"""Connections on the wire → in the domain, by reference id."""

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
    "no connection was declared under this reference id: declare it and send the event again (rule 12.1)",
)


def config_json(connection: pb.SourceConnection) -> bytes:
    """Return the connection's settings as the dashboard's JSON, the form that the transform reads."""
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
    """The connections that one stream, or one unary call, has declared."""

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._by_reference_id: dict[int, Connection] = {}

    async def upsert(self, connections: Iterable[pb.SourceConnection], turns: Turns) -> None:
        """Declare or replace connections. The records of an unusable connection are rejected.

        Args:
            connections: the declarations.
            turns: the turns of the message that declares them.

        Raises:
            ProtocolError: a required field is missing, or there are too many connections.
        """
        for index, declared in enumerate(connections):
            check_declaration(declared, f"connections[{index}]")
            if turns.over:
                await turns.next()
            self._by_reference_id[declared.reference_id] = await _read_declared(declared)
            if len(self._by_reference_id) > self._max_connections:
                raise ProtocolError(
                    "connections",
                    f"more than {self._max_connections} connections are declared here",
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                )

    def get(self, reference_id: int) -> Connection | None:
        """Return a connection; None for reference id 0, which means none (rules 9.1, 12.1)."""
        return self._by_reference_id.get(reference_id, _UNKNOWN) if reference_id else None
