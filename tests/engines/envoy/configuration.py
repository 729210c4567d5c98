"""The committed envoy.yaml, with the addresses and certificates of a test in it and nothing else changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

COMMITTED = Path(__file__).resolve().parents[3] / "deploy" / "envoy" / "envoy.yaml"
TLS_DIRECTORY = "/etc/envoy/tls/"

Address = tuple[str, int]


def committed(addresses: Mapping[Address, Address], tls: Path) -> dict[str, Any]:
    """Return the committed configuration.

    Args:
        addresses: What to replace every address of the file by. Each must be in the file.
        tls: The directory with the files that the configuration looks for in /etc/envoy/tls.

    Raises:
        ValueError: An address of the file is not in `addresses`, or the other way round; or a file is not in `tls`.
    """
    replaced: set[Address] = set()
    found: dict[str, Any] = _replace(
        yaml.safe_load(COMMITTED.read_text()), addresses, tls, replaced
    )
    if unused := set(addresses) - replaced:
        raise ValueError(f"not in {COMMITTED.name}: {unused}")
    return found


def _replace(
    node: Any, addresses: Mapping[Address, Address], tls: Path, replaced: set[Address]
) -> Any:
    if isinstance(node, list):
        return [_replace(element, addresses, tls, replaced) for element in node]
    if isinstance(node, str) and node.startswith(TLS_DIRECTORY):
        return _file(tls / node.removeprefix(TLS_DIRECTORY))
    if not isinstance(node, dict):
        return node
    if set(node) == {"address", "port_value"}:
        address = (node["address"], node["port_value"])
        if address not in addresses:
            raise ValueError(f"{address} has no replacement")
        replaced.add(address)
        host, port = addresses[address]
        return {"address": host, "port_value": port}
    return {key: _replace(value, addresses, tls, replaced) for key, value in node.items()}


def _file(path: Path) -> str:
    if not path.is_file():
        raise ValueError(f"{path.name} is not there")
    return str(path)
