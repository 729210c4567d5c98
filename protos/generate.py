"""Writes the stubs of protos/ into the Python client. `make gen` runs it; nobody edits what it writes.

With --check it writes nothing and fails if a stub is not what it would write. With --image PATH it
writes an image of the contract instead, with all imports and comments, as `buf` reads it.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from google.api import field_behavior_pb2

PROTOS = Path(__file__).parent
PYTHON = PROTOS.parent / "client" / "python"
BIN = Path(sys.executable).parent
# The protoc of requirements.txt beside this file; its Python code runs under protobuf 6 and 7.
PROTOC = BIN.parent / "protoc" / "bin" / "python"
# googleapis-common-protos installs google/api/field_behavior.proto beside its module.
GOOGLEAPIS = Path(field_behavior_pb2.__file__).parents[2]
_STUBS = Path("ciosidecar", "v1")


def main() -> None:
    if "--check" in sys.argv[1:]:
        check()
        return
    if "--image" in sys.argv[1:]:
        write_image(Path(sys.argv[-1]).absolute())
        return
    for path in (PYTHON / _STUBS).glob("*.py*"):
        path.unlink()
    write_python(PYTHON)


def check() -> None:
    """Fails, naming the files, unless the stubs are those of protos/."""
    with tempfile.TemporaryDirectory() as directory:
        write_python(Path(directory))
        fresh = {path.name: path.read_bytes() for path in Path(directory, _STUBS).glob("*.py*")}
    found = {path.name: path.read_bytes() for path in (PYTHON / _STUBS).glob("*.py*")}
    stale = sorted(name for name in fresh | found if fresh.get(name) != found.get(name))
    if stale:
        sys.exit(f"stale stubs in {PYTHON / _STUBS}: {', '.join(stale)}; run make gen")


def proto_files() -> list[str]:
    """Return the files of the contract, relative to protos/."""
    return sorted(
        path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("ciosidecar/**/*.proto")
    )


def write_python(root: Path) -> None:
    """Write the Python package ciosidecar.v1 below a folder."""
    files = proto_files()
    (root / _STUBS).mkdir(parents=True, exist_ok=True)
    protoc(
        *files,
        f"--python_out={root}",
        f"--plugin=protoc-gen-mypy={BIN / 'protoc-gen-mypy'}",
        f"--mypy_out=quiet:{root}",
    )
    protoc(
        "ciosidecar/v1/service.proto",
        f"--grpc_python_out={root}",
        f"--plugin=protoc-gen-mypy_grpc={BIN / 'protoc-gen-mypy_grpc'}",
        f"--mypy_grpc_out=quiet:{root}",
    )
    (root / _STUBS / "__init__.py").write_text(package_init(files))


def write_image(path: Path) -> None:
    """Write the descriptors of the contract and of everything that it imports."""
    protoc(
        *proto_files(),
        f"--descriptor_set_out={path}",
        "--include_imports",
        "--include_source_info",
    )


def protoc(*arguments: str) -> None:
    includes = [f"-I{PROTOS}", f"-I{GOOGLEAPIS}"]
    command = [str(PROTOC), "-m", "grpc_tools.protoc", *includes, *arguments]
    subprocess.run(command, cwd=PROTOS, check=True)


def package_init(files: list[str]) -> str:
    """Every message and enum of the package under its own name, and the service's stub."""
    lines = ['"""Generated from protos/ciosidecar/v1 by `make gen`. Do not edit."""', ""]
    names = []
    for file in files:
        text = (PROTOS / file).read_text()
        found = sorted(re.findall(r"^(?:message|enum) (\w+)", text, re.MULTILINE))
        lines += [
            f"from ciosidecar.v1.{Path(file).stem}_pb2 import (",
            *(f"    {name}," for name in found),
            ")",
        ]
        names += found
    lines += [
        "from ciosidecar.v1.service_pb2_grpc import (",
        "    SidecarServiceServicer,",
        "    SidecarServiceStub,",
        "    add_SidecarServiceServicer_to_server,",
        ")",
    ]
    names += [
        "SidecarServiceServicer",
        "SidecarServiceStub",
        "add_SidecarServiceServicer_to_server",
    ]
    return "\n".join(
        [*lines, "", "__all__ = [", *(f'    "{name}",' for name in sorted(names)), "]", ""]
    )


if __name__ == "__main__":
    main()
