"""What all calls of a client share."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from ciosidecar._addresses import as_list
from ciosidecar._channel import Tls
from ciosidecar._reconnect_backoff import FirstConnection
from ciosidecar._token import BearerToken, TokenFile, TokenSource, require_safe_token
from ciosidecar.errors import Closed, SidecarError, call_failed


@dataclass(slots=True)
class CallSettings:
    """The token and the first connection of a client."""

    token: BearerToken
    first_connection: FirstConnection
    closed: bool = False
    """True once the caller has closed the client."""

    def failure(self, code: grpc.StatusCode, details: str) -> SidecarError:
        """Return the error for the status of a failed RPC."""
        if self.closed:
            return Closed("the client was closed")
        return call_failed(code, details, token_given=self.token.is_given)

    def require_open(self) -> None:
        """Check that the client is open.

        Raises:
            Closed: The caller has closed the client.
        """
        if self.closed:
            raise Closed("the client was closed")


def call_settings(
    addresses: str | Sequence[str] | None,
    tls: Tls | None,
    token: TokenSource | None,
    token_file: TokenFile | None,
    *,
    insecure: bool,
    connect_timeout_s: float,
) -> CallSettings:
    """Return the settings of a new client.

    Args:
        addresses: The client's addresses, or None if it has a channel of the caller's own.
        tls: As for the client.
        token: As for the client.
        token_file: As for the client.
        insecure: As for the client.
        connect_timeout_s: As for the client.

    Raises:
        ValueError: The token cannot be sent, or would be sent in plain text.
    """
    address_list = [] if addresses is None else as_list(addresses)
    bearer = BearerToken(token, token_file)
    if bearer.is_given:
        require_safe_token(address_list, tls=tls is not None, insecure=insecure)
    return CallSettings(bearer, FirstConnection(connect_timeout_s, address_list))
