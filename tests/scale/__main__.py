"""The long forms of tests/engines: `.venv/bin/python -m tests.scale [NAME…]` prints the figures of docs/scaling.md.

Each module of this package with a function `main` is one of them, by its name.
"""

from importlib import import_module
from pathlib import Path

from tests.arguments import parser_of, require_known

NAMES = sorted(
    path.stem
    for path in Path(__file__).parent.glob("[a-z]*.py")
    if "\ndef main(" in path.read_text()
)


def main() -> None:
    """Run the named ones, or all."""
    parser = parser_of("tests.scale", __doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(NAMES)}"
    )
    names = parser.parse_args().names
    require_known(parser, "long form", names, NAMES)
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        import_module(f"{__package__}.{name}").main()


if __name__ == "__main__":
    main()
