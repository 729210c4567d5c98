"""Write docs/contract.md from the descriptors of the contract.

.venv/bin/python -m docs.generate.contract docs/contract.md
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ciosidecar_server.rpc.details import MAX_TAG_BYTES
from ciosidecar_server.rpc.limits import DEFAULT_RECEIVE_BYTES, MIN_RECEIVE_BYTES, limits
from ciosidecar_server.settings import Settings
from google.api import field_behavior_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from . import command

ROOT = Path(__file__).parents[2]
PACKAGE = "ciosidecar.v1"
_INTRODUCTION = """\
# The contract

The messages and methods of `ciosidecar.v1`. This page is made from [protos/](../protos/ciosidecar/v1), which also
are what the clients are made from. MUST, SHOULD and MAY are those of RFC 2119.

* *Required*: the caller MUST set the field. *Optional*: the caller MAY leave it out. Fields that the server sets
  have neither word.
* Treat an unknown enum value as unspecified: the peer is newer.
"""
_WELL_KNOWN = "https://protobuf.dev/reference/protobuf/google.protobuf/#"
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_MEMBER = 2
"""Field numbers of descriptor.proto. The paths of comments consist of them."""


class Comments:
    """The comments of one file, by the path of what they describe."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._by_path = {
            tuple(location.path): location.leading_comments
            for location in file.source_code_info.location
        }

    def at(self, *path: int) -> str:
        """Return a comment in one line; "" if there is none."""
        return " ".join(self._by_path.get(path, "").split())


class Entry(NamedTuple):
    """A message, an enum or a service, and the section that describes it."""

    name: str
    section: str


def page() -> str:
    """Return the page, as Markdown."""
    files = contract_files()
    services = [each for file in files for each in _entries(file, _SERVICE)]
    messages = [each for file in files for each in _entries(file, _MESSAGE)]
    enums = [each for file in files for each in _entries(file, _ENUM)]
    parts = [_INTRODUCTION, _contents(services, messages, enums), _limits()]
    for title, entries in (("Services", services), ("Messages", messages), ("Enums", enums)):
        parts += [f"## {title}\n", *(each.section for each in entries)]
    return "\n".join(parts)


def contract_files() -> list[FileDescriptorProto]:
    """Return the files of the contract with their comments, those with the methods first."""
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory, "contract.binpb")
        program = ROOT / "protos" / "generate.py"
        subprocess.run([sys.executable, program, "--image", image], check=True)
        descriptors = FileDescriptorSet.FromString(image.read_bytes())
    files = [file for file in descriptors.file if file.package == PACKAGE]
    return sorted(files, key=lambda file: (not file.service, file.name))


def _entries(file: FileDescriptorProto, kind: int) -> Iterator[Entry]:
    comments = Comments(file)
    if kind == _SERVICE:
        for index, service in enumerate(file.service):
            yield Entry(service.name, _service(service, comments, (kind, index)))
    elif kind == _MESSAGE:
        for index, message in enumerate(file.message_type):
            yield Entry(message.name, _message(message, comments, (kind, index)))
    else:
        for index, enum in enumerate(file.enum_type):
            yield Entry(enum.name, _enum(enum, comments, (kind, index)))


def _contents(*groups: list[Entry]) -> str:
    lines = [
        f"* {title}: " + ", ".join(_link(each.name) for each in entries)
        for title, entries in zip(("Services", "Messages", "Enums"), groups, strict=True)
    ]
    return "\n".join(["* [Limits and defaults](#limits-and-defaults)", *lines]) + "\n"


def _limits() -> str:
    defaults = limits(Settings(), delivering=True)
    rows = [
        (
            f"`{field.name}` of {_link('Limits')}",
            f"{getattr(defaults, field.name):,}",
            "a server option",
        )
        for field in defaults.DESCRIPTOR.fields
    ]
    rows += [
        (_field("OpenStream", "max_receive_bytes"), f"{DEFAULT_RECEIVE_BYTES:,}", "the caller"),
        ("the least value of it", f"{MIN_RECEIVE_BYTES:,}", "fixed"),
        (f"bytes of {_field('BatchItem', 'tag')}", f"{MAX_TAG_BYTES:,}", "fixed"),
        (_field("DeliveryOptions", "default_timeout"), _seconds(), "a server option"),
    ]
    table = _table(("limit", "default", "set by"), rows)
    return (
        "## Limits and defaults\n\nOn a stream without delivery `max_outstanding_events` and"
        " `max_outstanding_bytes` are those of one batch.\n"
        f"GetCapabilities and StreamOpened report the limits in force.\n\n{table}"
    )


def _seconds() -> str:
    return f"{Settings().delivery_timeout_s:g} s"


def _field(message: str, name: str) -> str:
    return f"`{name}` of {_link(message)}"


def _service(service: ServiceDescriptorProto, comments: Comments, path: tuple[int, ...]) -> str:
    rows = [
        (
            f"`{method.name}`",
            ("stream of " if method.client_streaming else "") + _type(method.input_type),
            ("stream of " if method.server_streaming else "") + _type(method.output_type),
            _cell(comments.at(*path, _MEMBER, index)),
        )
        for index, method in enumerate(service.method)
    ]
    return _section(
        service.name, comments.at(*path), _table(("method", "request", "response", "meaning"), rows)
    )


def _message(message: DescriptorProto, comments: Comments, path: tuple[int, ...]) -> str:
    maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    rows = [
        (
            f"`{field.name}`",
            _label(field, maps, message),
            _behaviour(field),
            _cell(_without_behaviour(comments.at(*path, _MEMBER, index))),
        )
        for index, field in enumerate(message.field)
    ]
    choices = [
        f"* `{oneof.name}`: one of {', '.join(f'`{name}`' for name in _members(message, index))}."
        f" {comments.at(*path, 8, index)}"
        for index, oneof in enumerate(message.oneof_decl)
    ]
    table = _table(("field", "type", "behaviour", "meaning"), rows) if rows else ""
    return _section(message.name, comments.at(*path), table, "\n".join(choices))


def _enum(enum: EnumDescriptorProto, comments: Comments, path: tuple[int, ...]) -> str:
    rows = [
        (f"`{value.name}`", str(value.number), _cell(comments.at(*path, _MEMBER, index)))
        for index, value in enumerate(enum.value)
    ]
    return _section(enum.name, comments.at(*path), _table(("value", "number", "meaning"), rows))


def _members(message: DescriptorProto, oneof: int) -> list[str]:
    return [
        field.name
        for field in message.field
        if field.HasField("oneof_index") and field.oneof_index == oneof
    ]


def _label(
    field: FieldDescriptorProto, maps: dict[str, DescriptorProto], message: DescriptorProto
) -> str:
    entry = maps.get(field.type_name.rpartition(".")[2])
    if entry is not None and field.type_name.startswith(f".{PACKAGE}.{message.name}."):
        key, value = entry.field
        return f"map of {_field_type(key)} to {_field_type(value)}"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {_field_type(field)}"
    return _field_type(field)


def _field_type(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return _type(field.type_name)
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _type(full_name: str) -> str:
    name = full_name.rpartition(".")[2]
    if full_name.startswith(f".{PACKAGE}."):
        return _link(name)
    return f"[{full_name[1:]}]({_WELL_KNOWN}{name.lower()})"


def _behaviour(field: FieldDescriptorProto) -> str:
    behaviours = field.options.Extensions[field_behavior_pb2.field_behavior]
    words = [field_behavior_pb2.FieldBehavior.Name(each).lower() for each in behaviours]
    if field.options.deprecated:
        words.append("deprecated")
    return ", ".join(words)


def _without_behaviour(comment: str) -> str:
    """Return a field's comment without the word that has a column of its own."""
    return re.sub(r"^(Required|Optional)\. ", "", comment)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("{{", "`{{").replace("}}", "}}`")


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _section(name: str, *parts: str) -> str:
    return "\n\n".join([f"### {name}", *(part.rstrip("\n") for part in parts if part)]) + "\n"


if __name__ == "__main__":
    command.run(__doc__, page)
