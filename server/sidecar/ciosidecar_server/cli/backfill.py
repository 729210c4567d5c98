"""The command `ciosidecar backfill`."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from ..backfill.checkpoint import Lock
from ..backfill.engines.choice import EngineName, EngineOptions, make_engine
from ..backfill.errors import BackfillFailed
from ..backfill.plan import BackfillOptions, make_output, plan
from ..backfill.run import Run
from ..backfill.summary import Summary
from .backfill_report import ProgressReport
from .files import read_file
from .interrupts import EXIT_INTERRUPTED, interrupt_on_ctrl_c
from .outcome import EXIT_FAILED, EXIT_USAGE, Failed, give_up, say, stderr
from .output import print_json

_Positive = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]


def backfill(
    *inputs: Annotated[str, Parameter(allow_leading_hyphen=True)],
    output: Path,
    config: Path | None = None,
    connection: Path | None = None,
    engine: EngineName = "local",
    workers: _Positive = None,
    ray_address: str = "",
    spark_master: str = "",
    partitions: _Positive = None,
    format: Literal["jsonl", "parquet"] = "jsonl",  # noqa: A002 - the name of the option
    pack: bool = False,
    show_secrets: bool = False,
    now: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    json: bool = False,
) -> None:
    """Transform the events of large files on many workers, in order for each person.

    The output directory gets `requests-*.jsonl`, a line for each event as `ciosidecar transform` prints it, with the file
    and the line of the event and its messageId; and `refused-*.jsonl`, the events that were refused, with reasons. Mend
    those and give them to `backfill` or `deliver` as they are.

    If the command ends early, run the same command again: it goes on where it ended. The exit code is 0 if no event was
    refused, and 130 after Ctrl-C.

    Args:
        inputs: Files of events, directories of them, or patterns: JSON Lines, plain or compressed (.gz).
        output: Directory for the output: a new or empty one, or that of the run to go on with.
        config: JSON file with the destination's settings, as in the RudderStack dashboard, for all
            events. Without it, each line has its own, as for `transform`.
        connection: JSON file with the config of the source connection, for the records of a warehouse.
        engine: Where the workers run.
        ray_address: Address of a Ray cluster. Defaults to RAY_ADDRESS, or to a Ray of this machine
            that ends with the command.
        spark_master: URL of a Spark master. Defaults to that of spark-submit or spark-defaults.conf, or
            to a Spark of this machine that ends with the command.
        workers: Number of tasks at a time. Defaults to the CPUs of the engine; 1 starts no process.
        partitions: Number of parts in which people are processed. Defaults to one for each 4 MB of
            input, at most 512.
        format: Format of the files of requests.
        pack: Let events share requests, as in a delivery. A shared request is on the last of its events.
        show_secrets: Write Authorization headers instead of masking them.
        now: The time by which events are judged, in seconds since 1970. Defaults to that of the first
            start.
        json: Print the summary as a line of JSON on stdout.
    """
    interrupt_on_ctrl_c()
    try:
        if not inputs:
            raise Failed("name the files of events to read", EXIT_USAGE)
        options = BackfillOptions(
            inputs=inputs,
            output=output,
            config=None if config is None else read_file(config),
            connection=b"" if connection is None else read_file(connection),
            format=format,
            partitions=partitions,
            now=now,
            pack=pack,
            show_secrets=show_secrets,
        )
        summary = _run(
            options,
            EngineOptions(
                name=engine,
                workers=workers,
                ray_address=ray_address,
                spark_master=spark_master,
            ),
        )
    except KeyboardInterrupt:
        say("interrupted: run the same command again to go on")
        raise SystemExit(EXIT_INTERRUPTED) from None
    except (Failed, BackfillFailed) as problem:
        give_up(str(problem), problem.code)
    _show(summary, as_json=json)
    if summary.refused or summary.failed:
        raise SystemExit(EXIT_FAILED)


def _run(options: BackfillOptions, engine: EngineOptions) -> Summary:
    make_output(options.output)
    with (
        Lock(options.output),
        closing(make_engine(engine)) as running,
        ProgressReport() as report,
    ):
        return Run(plan(options), running, report).run()


def _show(summary: Summary, *, as_json: bool) -> None:
    stderr.file.write("\n".join([*summary.lines(), ""]))
    if as_json:
        print_json(summary.members())
