"""Channel options: gRPC ignores a name it does not know, so a misspelt one changes nothing."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar._channel import Tls, channel_options
from ciosidecar_server.app import server_options
from ciosidecar_server.settings import Settings


@pytest.mark.parametrize(
    "options",
    [server_options(Settings()), channel_options(Tls(server_name="name"))],
    ids=["server", "client"],
)
def test_every_option_is_one_that_grpc_knows(options: list[tuple[str, Any]]) -> None:
    """Each name stands in gRPC's own binary."""
    (core,) = Path(grpc.__file__).parent.glob("_cython/cygrpc*.so")
    binary = core.read_bytes()
    for name, _ in options:
        assert name.encode() in binary, name


def test_callers_may_ping_as_often_as_grpc_go_does() -> None:
    """grpc-go pings every 10 s at the most; gRPC's own default sends off who does so when idle."""
    options = dict(server_options(Settings()))
    assert options["grpc.http2.min_ping_interval_without_data_ms"] <= 10_000
    assert options["grpc.keepalive_permit_without_calls"] == 1
