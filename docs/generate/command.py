"""The command line that all programs here share."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def run(description: str | None, content: Callable[[], str]) -> None:
    """Write the generated file, or with --check fail if it is not up to date.

    Args:
        description: what `--help` says.
        content: returns what the file has to be.
    """
    options = argparse.ArgumentParser(description=description)
    options.add_argument("file", type=Path)
    options.add_argument(
        "--check", action="store_true", help="write nothing; fail if the file is stale"
    )
    arguments = options.parse_args()
    if not arguments.check:
        arguments.file.write_text(content(), encoding="utf-8")
    elif arguments.file.read_text(encoding="utf-8") != content():
        sys.exit(f"{arguments.file} is stale; run make gen")
