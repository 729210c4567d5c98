"""Write the stubs of protos/ into the Python client, for `make gen`.

With --check, write nothing and fail if a stub is stale. With --image PATH, write an image of the
contract instead, with all imports and comments, as `buf` reads it.
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
    """Write the stubs, or do what the options say."""
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
    """Fail with the names of the files if stubs are stale."""
    with tempfile.TemporaryDirectory() as directory:
        write_python(Path(directory))
        fresh = {path.name: path.read_bytes() for path in Path(directory, _STUBS).glob("*.py*")}
    written = {path.name: path.read_bytes() for path in (PYTHON / _STUBS).glob("*.py*")}
    stale = sorted(name for name in fresh | written if fresh.get(name) != written.get(name))
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
    """Run protoc in protos/ with its include paths."""
    includes = [f"-I{PROTOS}", f"-I{GOOGLEAPIS}"]
    command = [str(PROTOC), "-m", "grpc_tools.protoc", *includes, *arguments]
    subprocess.run(command, cwd=PROTOS, check=True)


def package_init(files: list[str]) -> str:
    """Return the package's __init__.py, which exports each message, each enum and the service's stub."""
    lines = ['"""Generated from protos/ciosidecar/v1 by `make gen`. Do not edit."""', ""]
    names = []
    for file in files:
        text = (PROTOS / file).read_text()
        exported = sorted(re.findall(r"^(?:message|enum) (\w+)", text, re.MULTILINE))
        lines += [
            f"from ciosidecar.v1.{Path(file).stem}_pb2 import (",
            *(f"    {name}," for name in exported),
            ")",
        ]
        names += exported
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
