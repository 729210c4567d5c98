"""The committed envoy.yaml: Envoy accepts it, and tests change nothing in it but addresses and paths."""

import json
from pathlib import Path

import pytest
import yaml

from . import proxy
from .certificates import Certificates
from .configuration import COMMITTED, committed

NAMES = {
    ("0.0.0.0", 50550): ("127.0.0.1", 1),
    ("127.0.0.1", 9901): ("127.0.0.1", 2),
    ("sidecar-1", 50550): ("127.0.0.1", 3),
    ("sidecar-2", 50550): ("127.0.0.1", 4),
    ("sidecar-3", 50550): ("127.0.0.1", 5),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The files of the configuration."""
    return Certificates(tmp_path_factory.mktemp("envoy") / "tls")


def test_envoy_accepts_it_without_a_warning(certificates: Certificates, tmp_path: Path) -> None:
    """A deprecated or unknown field would be named."""
    done = proxy.validate(committed(NAMES, certificates.directory), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert "OK" in done.stdout


def test_envoy_refuses_a_misspelt_field(certificates: Certificates, tmp_path: Path) -> None:
    """The check finds what it is for."""
    configuration = committed(NAMES, certificates.directory)
    configuration["static_resources"]["clusters"][0]["circuit_breaker"] = {}
    done = proxy.validate(configuration, tmp_path)
    assert done.returncode != 0
    assert "circuit_breaker" in done.stderr


def test_only_addresses_and_paths_differ(certificates: Certificates) -> None:
    """Turned back, the configuration of the tests is the committed one."""
    text = json.dumps(committed(NAMES, certificates.directory))
    for (host, port), (new_host, new_port) in NAMES.items():
        new = json.dumps({"address": new_host, "port_value": new_port})
        assert text.count(new) == 1
        text = text.replace(new, json.dumps({"address": host, "port_value": port}))
    text = text.replace(f"{certificates.directory}/", "/etc/envoy/tls/")
    assert json.loads(text) == yaml.safe_load(COMMITTED.read_text())


def test_an_address_that_a_test_forgets_is_an_error(certificates: Certificates) -> None:
    """No test would connect to a name of the file."""
    with pytest.raises(ValueError, match="sidecar-2"):
        committed(
            {name: new for name, new in NAMES.items() if name[0] != "sidecar-2"},
            certificates.directory,
        )
    with pytest.raises(ValueError, match="sidecar-4"):
        committed(NAMES | {("sidecar-4", 50550): ("127.0.0.1", 6)}, certificates.directory)


def test_a_missing_certificate_is_an_error(tmp_path: Path) -> None:
    """Each file that the configuration names must be there."""
    with pytest.raises(ValueError, match=r"\.pem is not there"):
        committed(NAMES, tmp_path)
