"""Check the file of the compiled package before Python loads it.

The loader of the system maps the file. If a part of it is missing or was overwritten, to load it can end the
process with a signal, which no exception handler sees.
"""

import struct
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import file_digest
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

_DISTRIBUTION = "ciosidecar-native"
_INSTALL = f"install {_DISTRIBUTION} again (in a clone: make setup)"
_SEGMENT = "<I4xQ16xQ16x"
"""The type, the offset and the length of an ELF segment, in its 56 bytes."""
_PT_LOAD = 1
"""The type of a segment that is mapped."""


def damage(name: str) -> tuple[str, str] | None:
    """Return what is wrong with the file that `import name` loads, and what to do; None if it may be loaded.

    The file MUST be the one that its installation recorded. If there is no record, which some packagers remove,
    only the length of the file is checked.

    Raises:
        OSError: the file cannot be read.
    """
    spec = _compiled(name)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin)
    root = file.parents[spec.name.count(".")]
    recorded = list(_recorded(root, name))
    if not recorded:
        return (f"the file of {_DISTRIBUTION} is cut off", _INSTALL) if _is_cut_off(file) else None
    # An installation that failed half-way can leave the record of an older one beside its own.
    of_file = {sha256 for path, sha256 in recorded if path == file.relative_to(root).as_posix()}
    if not of_file:
        return f"{file.name} is no file of the {_DISTRIBUTION} that is installed", "remove it"
    with file.open("rb") as opened:
        found = urlsafe_b64encode(file_digest(opened, "sha256").digest())
    if found.rstrip(b"=") in of_file:
        return None
    return f"the file of {_DISTRIBUTION} differs from the one that was installed", _INSTALL


def _compiled(name: str) -> ModuleSpec | None:
    """Return the compiled module that a package loads, which has its name; None if there is none."""
    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        # Not by find_spec, which imports the package.
        spec = PathFinder.find_spec(f"{name}.{name}", spec.submodule_search_locations)
    return spec if spec is not None and isinstance(spec.loader, ExtensionFileLoader) else None


def _recorded(root: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield each file of a package with its SHA-256, as `pip` recorded them in RECORD. root: where it is installed.

    Not by importlib.metadata, whose import takes 40 ms, and which looks on the whole path.
    """
    for folder in root.iterdir():
        if not (folder.name.startswith(f"{name}-") and folder.name.endswith(".dist-info")):
            continue
        try:
            lines = folder.joinpath("RECORD").read_text("utf-8", "replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            continue
        for path, _, digest in (line.rpartition(",")[0].partition(",sha256=") for line in lines):
            if digest:
                yield path, digest.rstrip("=").encode()


def _is_cut_off(file: Path) -> bool:
    """Return whether an ELF file, the format of Linux, ends before a part that is mapped."""
    with file.open("rb") as opened:
        head = opened.read(64)
        if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:
            return False  # the loader refuses it by itself
        (table,) = struct.unpack_from("<Q", head, 32)
        entry_bytes, entries = struct.unpack_from("<HH", head, 54)
        if entry_bytes != struct.calcsize(_SEGMENT):
            return False  # the loader refuses this, too
        opened.seek(table)
        segments = opened.read(entry_bytes * entries)
    if len(segments) < entry_bytes * entries:
        return True
    size = file.stat().st_size
    return any(
        kind == _PT_LOAD and size < offset + length
        for kind, offset, length in struct.iter_unpack(_SEGMENT, segments)
    )
