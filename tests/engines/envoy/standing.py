"""Envoy in front of three sidecars and a sandbox, ready for callers."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import proxy
from .certificates import Certificates
from .configuration import Address, committed
from .fleet import Fleet, Sidecar

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
        """Return the address for callers."""
        return f"127.0.0.1:{self.port}"

    def busy_sidecar(self) -> Sidecar:
        """Return the sidecar that has a call, once one has."""

        def look() -> list[int]:
            return [port for port, calls in self.envoy.active_calls().items() if calls]

        (port,) = proxy.wait_for(look, "a call", self.envoy.process)
        return next(sidecar for sidecar in self.fleet.sidecars if sidecar.port == port)

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
    directory: Path,
    *options: str,
    change: Change | None = None,
    sandbox: Sequence[str] = (),
) -> Iterator[Standing]:
    """Run all, from the committed configuration.

    Args:
        directory: For the files of the run. It may exist.
        options: Of Envoy's command line.
        change: Alters the configuration, for a test of what that does.
        sandbox: Options of the sandbox.
    """
    directory.mkdir(exist_ok=True)
    certificates = Certificates(directory / "tls")
    with (
        proxy.reserved_port() as port,
        Fleet.running(*certificates.sidecar_flags(), sandbox=sandbox) as fleet,
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
