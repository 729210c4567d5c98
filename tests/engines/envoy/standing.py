"""Envoy in front of three sidecars and a sandbox, ready for callers."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import proxy
from .certificates import Certificates
from .configuration import Address, committed
from .fleet import Fleet

LISTENER, ADMIN = ("0.0.0.0", 50550), ("127.0.0.1", 9901)
Change = Callable[[dict[str, Any]], None]


@dataclass
class Standing:
    """What runs, and what another Envoy needs."""

    fleet: Fleet
    envoy: proxy.Envoy
    certificates: Certificates
    configuration: dict[str, Any]
    port: int
    directory: Path

    @property
    def address(self) -> str:
        """The address for callers."""
        return f"127.0.0.1:{self.port}"

    def opening(self, **more: Any) -> dict[str, Any]:
        """Return the first line of a driver."""
        return {"addresses": [self.address], **self.certificates.caller_files(), **more}


def configured(fleet: Fleet, port: int, certificates: Certificates) -> dict[str, Any]:
    """Return the committed configuration for a fleet."""
    addresses: dict[Address, Address] = {
        LISTENER: ("127.0.0.1", port),
        ADMIN: ("127.0.0.1", 0),
        **{
            (f"sidecar-{number}", 50550): ("127.0.0.1", sidecar.port)
            for number, sidecar in enumerate(fleet.sidecars, 1)
        },
    }
    return committed(addresses, certificates.directory)


@contextlib.contextmanager
def standing(
    directory: Path, *options: str, change: Change | None = None, keep: int = 100_000
) -> Iterator[Standing]:
    """Run all, from the committed configuration. change: alters it, for a test of what that does."""
    certificates = Certificates(directory / "tls")
    with (
        proxy.reserved_port() as port,
        Fleet.running(*certificates.sidecar_flags(), keep=keep) as fleet,
    ):
        configuration = configured(fleet, port, certificates)
        if change is not None:
            change(configuration)
        with proxy.running(configuration, directory / "envoy", *options) as envoy:
            if change is None:
                envoy.wait_until_healthy(len(fleet.sidecars))
            yield Standing(fleet, envoy, certificates, configuration, port, directory)


def routes(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the routes of a configuration, to change them."""
    found: list[dict[str, Any]] = connection_manager(configuration)["route_config"][
        "virtual_hosts"
    ][0]["routes"]
    return found


def connection_manager(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the connections of callers, to change them."""
    (listener,) = configuration["static_resources"]["listeners"]
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def cluster(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the sidecars, to change them."""
    found: dict[str, Any] = configuration["static_resources"]["clusters"][0]
    return found
