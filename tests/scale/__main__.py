"""The long forms of tests/engines: `.venv/bin/python -m tests.scale [NAME…]` prints the figures of docs/scaling.md.

Each module of this package with a function `main` is one of them, by its name.
"""

import sys
from importlib import import_module
from pathlib import Path

NAMES = sorted(
    path.stem
    for path in Path(__file__).parent.glob("[a-z]*.py")
    if "\ndef main(" in path.read_text()
)


def main() -> None:
    """Run the named ones, or all."""
    names = sys.argv[1:] or NAMES
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in names:
        print(f"== {name}", flush=True)
        import_module(f"{__package__}.{name}").main()


if __name__ == "__main__":
    main()
