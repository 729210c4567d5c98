"""Addresses: malformed ones are refused when they are given, with what to mend; right ones work."""

import os
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import AsyncClient, Client
from ciosidecar_server.testing import server

from tests.client.both import CONFIG, TRACK, close
from tests.client.scripted import ScriptedSidecar, serving

both_clients = pytest.mark.parametrize("make", [Client, AsyncClient], ids=["sync", "async"])

MALFORMED = {
    "": "it is blank",
    "  ": "it is blank",
    "http://127.0.0.1:50550": "leave 'http://' out",
    "https://sidecar:50550": "leave 'https://' out",
    "unix:": "the path of the socket is missing",
    "unix:///": "the path of the socket is missing",
    "unix-abstract:": "the name of the socket is missing",
    "unix://run/sidecar.sock": "use unix:PATH or unix:///PATH",
    "unix:/" + "p" * 107: "at most 107 bytes",
    "localhost": "the port is missing, as in host:50550",
    "localhost:": "the port is missing, as in host:50550",
    "[::1]": "the port is missing, as in host:50550",
    "dns:///sidecar": "the port is missing, as in host:50550",
    "localhost:0": "the port must be 1 to 65535",
    "localhost:65536": "the port must be 1 to 65535",
    "localhost:grpc": "the port must be 1 to 65535",
    "::1:50550": r"put an IPv6 address into brackets, as in \[::1\]:50550",
    "fe80::1": r"put an IPv6 address into brackets, as in \[::1\]:50550",
    "[::1:50550": "use host:port",
    "[1.2.3.4]:50550": "use host:port",
    "[:::1]:50550": "use host:port",
    "1.2.3.400:50550": "use host:port",
    ":50550": "use host:port",
    "tcp://sidecar:50550": "use host:port",
    "dns://sidecar:50550": "use host:port",
    "side/car:50550": "use host:port",
    "side car:50550": "it contains white space",
    "localhost:50550\n": "it contains white space",
}


@both_clients
@pytest.mark.parametrize(("address", "fault"), MALFORMED.items(), ids=repr)
async def test_a_malformed_address_says_what_is_wrong(make: Any, address: str, fault: str) -> None:
    """The address is quoted, alone and in a list."""
    for given in (address, [address], ["127.0.0.1:50550", address]):
        with pytest.raises(ValueError, match=fault) as raised:
            make(given)
        assert repr(address) in str(raised.value)


@both_clients
async def test_an_empty_list_of_addresses_is_refused(make: Any) -> None:
    """It is no request for the default."""
    with pytest.raises(ValueError, match="no address is given"):
        make([])


@both_clients
@pytest.mark.parametrize(
    "address",
    [
        *("localhost:50550", "127.0.0.1:50550", "[::1]:50550", "dns:///sidecar.internal:50550"),
        *("unix:sidecar.sock", "unix:/run/sidecar.sock", "unix:///run/sidecar.sock"),
        *("unix-abstract:sidecar", "side_car-1.internal.:1", "unix:/" + "p" * 106),
    ],
)
async def test_a_right_address_is_accepted(make: Any, address: str) -> None:
    """Nothing connects before the first call."""
    await close(make(address))


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
def test_every_form_of_a_unix_socket_connects(form: str, tmp_path: Path) -> None:
    """The path is absolute in both."""
    path = tmp_path / "s"
    with server(listen=(f"unix:{path}",)), Client(form.format(path)) as client:
        assert client.transform([TRACK], CONFIG)[0].status == 200


def test_an_abstract_socket_connects() -> None:
    """The name is in no file system."""
    name = f"unix-abstract:ciosidecar-test-{os.getpid()}"
    with serving(ScriptedSidecar(lambda _: None), listen=name), Client(name) as client:
        assert client.capabilities().server_version == "scripted"
