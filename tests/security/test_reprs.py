"""No value of the product shows a credential where it is printed, as tracebacks and debuggers do."""

import json
from pathlib import Path
from typing import Any

import ciosidecar
import pytest
import trustme
from ciosidecar_server.backfill.tasks import Job, PartitionTask
from ciosidecar_server.certificates import read_certificates
from ciosidecar_server.destinations_file import read_destinations
from ciosidecar_server.server_destinations import ServerDestinations
from ciosidecar_server.settings import Settings
from ciosidecar_transform import read_destination, transform

KEY = "key-5d1c9b"
ENCODED = "c2l0ZTprZXktNWQxYzli"
CONFIG = json.dumps({"siteID": "site", "apiKey": KEY, "apiVersion": "v2"}).encode()
EVENT = b'{"type": "track", "userId": "u-somebody", "event": "Hello"}'


def _destination(_directory: Path) -> Any:
    return read_destination(CONFIG)


def _requests(_directory: Path) -> Any:
    destination, _ = read_destination(CONFIG)
    assert destination is not None
    outcome = transform(EVENT, destination, now=0)
    assert outcome[1]
    return outcome


def _file(directory: Path) -> Path:
    path = directory / "destinations.json"
    path.write_bytes(b'{"destinations": {"shop": %s}}' % CONFIG)
    return path


def _file_of_destinations(directory: Path) -> Any:
    return read_destinations(_file(directory))


def _known_destinations(directory: Path) -> Any:
    return vars(ServerDestinations(Settings(destinations=_file(directory))))


def _settings(_directory: Path) -> Any:
    return Settings(rate_store=f"redis://user:{KEY}@127.0.0.1:1/0")


def _task(_directory: Path) -> Any:
    job = Job(directory="/out", config=CONFIG, connection=CONFIG, partitions=1, now=0)
    return PartitionTask(job, 1, 1, ())


def _client(_directory: Path) -> Any:
    headers = {"Authorization": f"Basic {ENCODED}"}
    return [
        ciosidecar.Destination(CONFIG),
        ciosidecar.SourceConnection(CONFIG),
        ciosidecar.ApiRequest("PUT", "https://a", "v1", headers, b"", ()),
        ciosidecar.Tls(private_key=KEY.encode()),
    ]


@pytest.mark.parametrize(
    "value",
    [
        _destination,
        _requests,
        _file_of_destinations,
        _known_destinations,
        _settings,
        _task,
        _client,
    ],
)
def test_a_value_shows_no_credential(value: Any, tmp_path: Path) -> None:
    """Neither the key as it is set, nor as the Authorization header has it."""
    shown = repr(value(tmp_path))
    assert len(shown) > 10
    assert KEY not in shown
    assert ENCODED not in shown


def test_a_certificate_shows_no_private_key(tmp_path: Path) -> None:
    """The values that the server keeps for TLS."""
    issued = trustme.CA().issue_cert("localhost")
    chain, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    assert "PRIVATE KEY" not in repr(read_certificates(chain, key, None))
