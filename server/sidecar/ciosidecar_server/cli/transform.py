"""The command `ciosidecar transform`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from ciosidecar import Result, StreamOptions
from cyclopts import Parameter

from ..jsonl.reading import NoConfig, chunks_of_lines
from ..jsonl.streaming import InputLine, LineStream
from ..jsonl.summary import Summary
from ..jsonl.writing import result_line
from .files import StandardInput, check_one_input, open_input, read_config
from .outcome import EXIT_USAGE, Failed, run, stderr
from .output import Lines
from .progress import counting
from .sidecar import client_of
from .target import Target

_STREAM = StreamOptions(client_name="ciosidecar transform", reconnect_for_s=5)


def transform(
    file: str = "-",
    *,
    config: Path | None = None,
    target: Annotated[Target, Parameter(name="*")] = Target(),  # noqa: B008 - frozen
    pack: bool = False,
    show_secrets: bool = False,
    standard_input: StandardInput = False,
) -> None:
    """Print the Customer.io requests of events, one line for each line of input, in the same order.

    An input line is {"event": {…}, "config": {…}}, or only the event with --config FILE. A record also
    has "connection": {…}. An output line is {"status": 200, "requests": […], "warnings": […]},
    {"status": 400, "error": {…}} or {"status": 298, "reason": …}. A blank line of input
    has no line of output. Progress and a summary go to stderr.
    Nothing is sent to Customer.io. If the output cannot be written, the exit code is 1, and stderr
    says how many lines were written.

    Args:
        file: File of events, one JSON object a line; - for standard input.
        config: JSON file with the destination's settings, as in the RudderStack dashboard, for all
            lines.
        target: The running sidecar to use.
        pack: Let events share requests, as in a delivery. A shared request is on the last of its
            lines, with the numbers of all of them.
        show_secrets: Print Authorization headers instead of masking them.
        standard_input: Read standard input, as without a file.
    """
    check_one_input(file, standard_input=standard_input)
    run(_transform(file, config, target, pack=pack, show_secrets=show_secrets))


async def _transform(
    file: str, config: Path | None, target: Target, *, pack: bool, show_secrets: bool
) -> None:
    config_json = read_config(config)
    summary = Summary("transformed")
    out = Lines()
    with open_input(file) as lines, counting() as progress:
        task = progress.add_task("events", total=None)

        def done(line: InputLine, result: Result, line_of: Mapping[int, int]) -> None:
            out.write(result_line(result, line_of, show_secrets=show_secrets))
            summary.count(line.event, result)
            progress.update(task, advance=1)

        try:
            async with client_of(target) as client, client.stream(options=_STREAM) as stream:
                await LineStream(stream, config_json, pack=pack, done=done).run(
                    chunks_of_lines(lines)
                )
        except NoConfig as problem:
            raise Failed(str(problem), EXIT_USAGE) from None
        finally:
            progress.stop()
            summary.show(stderr)
