"""Measure what an event costs the server, beside an echo of the same bytes.

    make bench                                              all parts, some twenty minutes
    .venv/bin/python -m tests.bench --only service          one part
    .venv/bin/python -m tests.bench --only service --json - --svg docs/images/service.svg

The sidecar has one core, the load another. Server CPU is the time of the server's own clock, so it holds on a machine that
does other work at the same time, although noise adds some: read ratios of one run. A part whose tools are missing, such
as the compiled package, says so and is left out.

JSON: `service.SERVER.CALL.SIZE.server_cpu_us` is the median in µs an event. SERVER is echo, compiled or python. CALL is
stream, unary (both Track API v1), stream_v2, unary_v2, delivery_v1 or delivery_v2; the echo has the first two. SIZE is
the events a message, as text. Beside it stand server_cpu_us_lowest, server_cpu_us_by_round and events_per_s. Each other
part has a key of its name, and `machine` says where and when.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.arguments import parser_of, positive_int

from . import machine, markdown, memory, picture, scale, service
from .endings import exit_when_interrupted
from .parts import PARTS, Settings
from .server_process import take_load_core


def main() -> None:
    """Measure, print the tables, and write the files that are asked for."""
    parser = parser_of("tests.bench", __doc__)
    chosen = _read_arguments(parser)
    with exit_when_interrupted():
        _run(chosen)


def _read_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    width = max(map(len, PARTS))
    parser.epilog = "parts:\n" + "\n".join(f"  {n:{width}}  {p.says}" for n, p in PARTS.items())
    add = parser.add_argument
    add("--only", action="append", choices=PARTS, metavar="PART", help="a part; repeatable")
    add(
        "--rounds",
        type=positive_int,
        metavar="N",
        help=f"of service (default: {service.ROUNDS}) and of scale ({scale.ROUNDS})",
    )
    add(
        "--size",
        action="append",
        type=int,
        choices=service.SIZES,
        help="events a message of the part service; repeatable; all of %(choices)s by default",
    )
    add(
        "--memory-events",
        type=_memory_events,
        default=memory.EVENTS,
        metavar="N",
        help=f"events of the part memory, for each implementation, in rounds of {memory.ROUND}: %(default)s",
    )
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="write all figures; - is stdout, and the tables go to stderr then",
    )
    add(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="write the tables between the page's lines <!-- bench:PART --> and <!-- /bench:PART -->",
    )
    add("--svg", type=Path, metavar="FILE", help="draw the picture of the part service")
    chosen = parser.parse_args()
    chosen.only = [name for name in PARTS if not chosen.only or name in chosen.only]
    chosen.size = [size for size in service.SIZES if not chosen.size or size in chosen.size]
    if chosen.svg and "service" not in chosen.only:
        parser.error("--svg draws the part service: add --only service")
    # Said before the measurements, which take minutes.
    for file in filter(None, (chosen.json, chosen.svg)):
        if problem := _why_not_written(file):
            parser.error(f"cannot write {file}: {problem}")
    if chosen.markdown:
        try:
            markdown.require_markers(chosen.markdown, chosen.only)
        except OSError as fault:
            parser.error(f"cannot read {chosen.markdown}: {fault.strerror}")
        except markdown.NoMarkersError as fault:
            parser.error(str(fault))
    return chosen


def _why_not_written(file: Path) -> str:
    """Return why a file cannot be written, or nothing if it can. - is stdout."""
    if file == Path("-"):
        return ""
    if not file.parent.is_dir():
        return f"there is no directory {file.parent}"
    if file.is_dir():
        return "it is a directory"
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        return "permission denied"
    return ""


def _memory_events(text: str) -> int:
    number = positive_int(text)
    if number < memory.LEAST_EVENTS:
        raise argparse.ArgumentTypeError(
            f"must be at least {memory.LEAST_EVENTS}: the memory after a tenth of them is that of a warm server then"
        )
    return number


def _unusual(settings: Settings, part: str) -> str:
    """Return the options with which a part was run, if they are not the defaults."""
    words = ""
    if part in ("service", "scale") and settings.rounds:
        words += f" --rounds {settings.rounds}"
    if part == "service" and len(settings.sizes) < len(service.SIZES):
        words += "".join(f" --size {size}" for size in settings.sizes)
    if part == "memory" and settings.memory_events != memory.EVENTS:
        words += f" --memory-events {settings.memory_events}"
    return words


def _run(chosen: argparse.Namespace) -> None:
    take_load_core()
    to_stdout = chosen.json == Path("-")
    console = Console(stderr=to_stdout, width=None if sys.stdout.isatty() else 140)
    settings = Settings(chosen.rounds, chosen.size, chosen.memory_events)
    found: dict[str, Any] = {"machine": machine.describe()}
    sections: dict[str, str] = {}
    for number, name in enumerate(chosen.only, 1):
        part, other_work = PARTS[name], machine.OtherWork()
        machine.log(f"part {number} of {len(chosen.only)}, {name}: {part.says}")
        found[name] = part.measure(settings)
        found["machine"].setdefault("other_work", {})[name] = other_work.share()
        command = f".venv/bin/python -m tests.bench --only {name}{_unusual(settings, name)}"
        where = machine.sentence(found["machine"], name, command)
        tables = part.tables(found[name])
        sections[name] = "\n\n".join([where, *(table.markdown() for table in tables)])
        for table in tables:
            table.show(console)
        console.print(where.replace("**", "").replace("`", ""), highlight=False)
    if to_stdout:
        print(json.dumps(found))
    elif chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if chosen.markdown:
        markdown.write(chosen.markdown, sections)
    if chosen.svg:
        chosen.svg.write_text(picture.draw(found["service"]), encoding="utf-8")


if __name__ == "__main__":
    main()
