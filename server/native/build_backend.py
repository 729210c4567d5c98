"""maturin as the build backend, without the builder's paths in what it builds.

A panic's place is a path in the compiled file: of this crate relative to it, but of others in full, below the
builder's home. Cargo has no stable setting for this (`trim-paths`). Flags of the builder's own come before these.
"""

import os
from pathlib import Path

from maturin import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

_cargo = os.environ.get("CARGO_HOME") or Path.home() / ".cargo"
_shown = {str(_cargo): "cargo", str(Path.cwd()): "ciosidecar-native"}
# Flags are separated by spaces here, so a path with one stays.
_flags = [f"--remap-path-prefix={path}={name}" for path, name in _shown.items() if " " not in path]
os.environ.setdefault("CARGO_BUILD_RUSTFLAGS", " ".join(_flags))
