"""The manifest: what a backfill reads and how. Another input or another config cannot go on with its output."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ciosidecar_transform.json_text import NOT_JSON
from msgspec import convert, to_builtins
from msgspec.json import decode, encode, format

from .. import __version__
from .errors import EXIT_USAGE, BackfillFailed
from .files import writing
from .inputs import InputFile
from .tasks import Job

NAME = "manifest.json"


def manifest_of(job: Job, inputs: Sequence[InputFile], *, deliver: bool) -> dict[str, Any]:
    """Return the manifest of a backfill. It has no secret."""
    return {
        "ciosidecar": __version__,
        "now": job.now,
        "options": {
            "config": fingerprint(job.config or b""),
            "connection": fingerprint(job.connection),
            "columns": to_builtins(job.columns),
            "partitions": job.partitions,
            "pack": job.pack,
            "show-secrets": job.show_secrets,
            "format": job.format,
            "deliver": deliver,
        },
        "inputs": to_builtins(list(inputs)),
    }


def fingerprint(config: bytes) -> str:
    """Return a hash of a config, "" for none."""
    return hashlib.sha256(config).hexdigest()[:16] if config else ""


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Return the manifest of an output directory, or None if it has none.

    Raises:
        BackfillFailed: The manifest cannot be read.
    """
    path = directory / NAME
    try:
        return convert(decode(path.read_bytes()), dict[str, Any])
    except FileNotFoundError:
        return None
    except (OSError, *NOT_JSON) as problem:
        raise BackfillFailed(f"cannot read {path}: {problem}", EXIT_USAGE) from None


def write_manifest(directory: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a new backfill."""
    with writing(directory / NAME) as opened:
        opened.write(format(encode(manifest), indent=2) + b"\n")


def check_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Check that a backfill may go on with the output of an earlier start.

    Raises:
        BackfillFailed: Something differs. The text names it.
    """
    differences = list(_differences(old, new))
    if differences:
        raise BackfillFailed(
            f"the output directory belongs to another backfill: {'; '.join(differences)}. Name another --output,"
            " or run the command as it was",
            EXIT_USAGE,
        )


def _differences(old: dict[str, Any], new: dict[str, Any]) -> "list[str]":
    found = []
    if old.get("ciosidecar") != new["ciosidecar"]:
        found.append(f"it was begun by version {old.get('ciosidecar')}")
    if old.get("now") != new["now"]:
        found.append("--now is another one")
    old_options = old.get("options", {})
    for name, setting in new["options"].items():
        if old_options.get(name) != setting:
            found.append(f"--{name} is another one")
    old_inputs = {entry["path"]: entry for entry in old.get("inputs", ())}
    new_inputs = {entry["path"]: entry for entry in new["inputs"]}
    found += [f"{path} is no input of it" for path in new_inputs if path not in old_inputs]
    found += [f"its input {path} is missing" for path in old_inputs if path not in new_inputs]
    found += [
        f"{path} was changed ({_change(old_inputs[path], entry)})"
        for path, entry in new_inputs.items()
        if path in old_inputs and old_inputs[path] != entry
    ]
    if not found and list(old_inputs) != list(new_inputs):
        found.append("the inputs are in another order")
    return found


def _change(old: dict[str, Any], new: dict[str, Any]) -> str:
    if old["size"] != new["size"]:
        return f"{old['size']} bytes then, {new['size']} now"
    return "its content" if old["ends"] != new["ends"] else "its time of change"
