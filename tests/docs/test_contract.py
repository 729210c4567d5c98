"""docs/contract.md has all of the contract, and everything in the contract has a comment."""

import re
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from docs.generate.contract import Comments, contract_files, page
from tests.docs.pages import ROOT

FILES = contract_files()
PAGE = ROOT.joinpath("docs", "contract.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    """What the page says under a heading."""
    found = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


def messages() -> list[DescriptorProto]:
    """All messages."""
    return [message for file in FILES for message in file.message_type]


def paths(file: FileDescriptorProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Everything that needs a comment: its name, and its path in the descriptor."""
    for index, service in enumerate(file.service):
        yield service.name, (6, index)
        for at, method in enumerate(service.method):
            yield method.name, (6, index, 2, at)
    for index, message in enumerate(file.message_type):
        yield message.name, (4, index)
        for at, field in enumerate(message.field):
            yield f"{message.name}.{field.name}", (4, index, 2, at)
        for at, oneof in enumerate(message.oneof_decl):
            yield f"{message.name}.{oneof.name}", (4, index, 8, at)
    for index, enum in enumerate(file.enum_type):
        yield enum.name, (5, index)
        for at, value in enumerate(enum.value):
            yield value.name, (5, index, 2, at)


def test_the_page_is_what_the_contract_makes_it() -> None:
    """`make gen` was run."""
    assert page() == PAGE


def test_every_method_field_and_value_is_on_the_page() -> None:
    """In the section of its own message or enum."""
    names: dict[str, list[str]] = {}
    for file in FILES:
        for service in file.service:
            names[service.name] = [method.name for method in service.method]
        for message in file.message_type:
            names[message.name] = [field.name for field in message.field]
        for enum in file.enum_type:
            names[enum.name] = [value.name for value in enum.value]
    assert {"SidecarService", "BatchItem", "ErrorCode"} <= names.keys()
    assert len(names) > 50
    for name, members in names.items():
        here = section(name)
        for member in members:
            assert f"| `{member}` | " in here, f"{name}.{member}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_has_a_comment(file: FileDescriptorProto) -> None:
    """Services, methods, messages, fields, choices, enums and their values."""
    comments = Comments(file)
    assert [name for name, path in paths(file) if not comments.at(*path)] == []


def test_links_lead_to_sections() -> None:
    """Types are linked, and each link has its heading."""
    headings = {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    linked = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert {message.name.lower() for message in messages()} <= linked
    assert linked <= headings


def test_how_a_field_behaves() -> None:
    """From the annotations: required, optional, deprecated."""
    assert "| `batch_id` | int64 | required | The caller's id for this batch." in section("Batch")
    user_properties = section("RudderEvent").partition("`user_properties`")[2].splitlines()[0]
    assert "| optional, deprecated |" in user_properties
    modes = "map of string to [ConnectionMode](#connectionmode) | optional |"
    assert modes in section("DestinationSettings")
