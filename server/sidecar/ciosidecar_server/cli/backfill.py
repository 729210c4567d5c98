"""The command `ciosidecar backfill`."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from ..backfill.checkpoint import Lock
from ..backfill.engines.choice import EngineOptions, make_engine
from ..backfill.errors import BackfillFailed
from ..backfill.interruption import DEFAULT_WAIT_S, Interrupted
from ..backfill.plan import BackfillOptions, make_output, plan
from ..backfill.run import PartitionFunction, Run
from ..backfill.summary import Summary
from ..backfill.transforming import transform_partition
from .backfill_columns import ColumnOptions
from .backfill_report import ProgressReport
from .files import StandardInput, read_config, read_file
from .interrupts import EXIT_INTERRUPTED, interrupt_on_ctrl_c
from .outcome import EXIT_FAILED, EXIT_USAGE, Failed, give_up, say, stderr
from .output import print_json
from .sidecar_access import SidecarAccess

if TYPE_CHECKING:
    from ..backfill.delivering import Sidecars

# Each task has a buffer and a place in an index for every partition.
_Partitions = Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=10_000))]
_ANSWER_WITHIN_S = 10.0


def backfill(
    *inputs: str,
    output: Path,
    config: Path | None = None,
    connection: Path | None = None,
    engine: Annotated[EngineOptions, Parameter(name="*")] = EngineOptions(),  # noqa: B008 - frozen
    columns: Annotated[ColumnOptions, Parameter(name="*")] = ColumnOptions(),  # noqa: B008 - frozen
    partitions: _Partitions = None,
    format: Literal["jsonl", "parquet"] = "jsonl",  # noqa: A002 - the name of the option
    pack: bool = False,
    show_secrets: bool = False,
    now: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    deliver: bool = False,
    address: Annotated[list[str] | None, Parameter(alias="--target")] = None,
    access: Annotated[SidecarAccess, Parameter(name="*")] = SidecarAccess(),  # noqa: B008 - frozen
    timeout_s: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
    max_tries: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 20,
    json: bool = False,
    standard_input: StandardInput = False,
) -> None:
    """Transform or deliver the events of large files on many workers, in order for each person.

    The output directory gets `requests-*.jsonl`, a line for each event as `ciosidecar transform` prints it, with the file
    and the line of the event and its messageId; and `refused-*.jsonl`, the events that were refused, with reasons. Mend
    those and give them to `backfill` or `deliver` as they are.

    With --deliver, the events go to Customer.io through the sidecars at --address instead. There are no
    files of requests then. Events that Customer.io refused are in `refused-*.jsonl` too, and events that
    were given up after retryable failures are in `failed-*.jsonl`.

    If the command ends early, run the same command again: it goes on where it ended. The exit code is 0 if no event was
    refused, and 130 after Ctrl-C.

    Args:
        inputs: Files of events, directories of them, or patterns: JSON Lines, plain or compressed (.gz).
        output: Directory for the output: a new or empty one, or that of the run to go on with.
        config: JSON file with the destination's settings, as in the RudderStack dashboard, for all
            events. Without it, each line has its own, as for `transform`.
        connection: JSON file with the config of the source connection, for the records of a warehouse.
        engine: Where the workers run.
        columns: How the rows of Parquet files become events.
        partitions: Number of parts in which people are processed. Defaults to one for each 4 MB of
            input, at most 512. At most 10,000.
        format: Format of the files of requests.
        pack: Let events share requests, as in a delivery. A shared request is on the last of its events.
        show_secrets: Write Authorization headers instead of masking them.
        deliver: Deliver the events. Events that were answered are not sent again by a later start.
        address: Address of a running sidecar, also named --target as for other commands; may be given several times. Each worker uses one of them.
        access: How to reach the sidecars.
        timeout_s: Seconds that one try of the delivery of an event may take. Defaults to the
            sidecar's --delivery-timeout-s.
        max_tries: Number of tries after which an event with retryable failures is given up.
        now: The time by which events are judged, in seconds since 1970. Defaults to that of the first
            start.
        json: Print the summary as a line of JSON on stdout.
        standard_input: An input that cannot be read.
    """
    interrupt_on_ctrl_c()
    try:
        if standard_input:
            inputs = (*inputs, "-")
        if not inputs:
            raise Failed("name the files of events to read", EXIT_USAGE)
        options = BackfillOptions(
            inputs=inputs,
            output=output,
            config=read_config(config),
            connection=b"" if connection is None else read_file(connection),
            columns=columns.mapping(),
            format=format,
            partitions=partitions,
            now=now,
            pack=pack,
            show_secrets=show_secrets,
            deliver=deliver,
        )
        if deliver:
            partition = _delivery(address or (), access, timeout_s, max_tries)
        elif address:
            raise Failed("--address is for --deliver: without it nothing is sent", EXIT_USAGE)
        else:
            partition = transform_partition
        summary = _run(options, engine, partition, timeout_s)
    except (KeyboardInterrupt, Interrupted):
        say("interrupted: run the same command again to go on")
        raise SystemExit(EXIT_INTERRUPTED) from None
    except (Failed, BackfillFailed) as problem:
        give_up(str(problem), problem.code)
    _show(summary, as_json=json)
    if summary.refused or summary.failed:
        raise SystemExit(EXIT_FAILED)


def _delivery(
    addresses: Sequence[str], access: SidecarAccess, timeout_s: float | None, max_tries: int
) -> PartitionFunction:
    """Return the function that delivers a partition, once a sidecar has answered.

    Raises:
        Failed: An option cannot be used, or no sidecar answers.
    """
    if not addresses:
        raise Failed("--deliver needs the --address of a running sidecar", EXIT_USAGE)
    # These import gRPC, which a backfill without delivery does not need.
    from ..backfill.delivering import DeliverPartition, Sidecars  # noqa: PLC0415

    access.check_token()
    token_file = None if access.token_file is None else str(access.token_file.absolute())
    sidecars = Sidecars(
        addresses=tuple(addresses),
        tls=access.tls(),
        token_file=token_file,
        insecure=access.insecure,
    )
    _ask(sidecars)
    return DeliverPartition(sidecars=sidecars, timeout_s=timeout_s, max_tries=max_tries)


def _ask(sidecars: "Sidecars") -> None:
    """Make a call, so that what is wrong with the connection is said before any input is read."""
    from ciosidecar import SidecarError  # noqa: PLC0415 - imports gRPC

    try:
        with sidecars.client() as client:
            client.capabilities(timeout_s=_ANSWER_WITHIN_S)
    except ValueError as problem:
        raise Failed(f"--address: {problem}", EXIT_USAGE) from None
    except SidecarError as problem:
        raise Failed(f"no answer from a sidecar at --address: {problem}") from None


def _run(
    options: BackfillOptions,
    engine: EngineOptions,
    partition: PartitionFunction,
    timeout_s: float | None,
) -> Summary:
    make_output(options.output)
    with (
        Lock(options.output),
        closing(make_engine(engine)) as running,
        ProgressReport(DEFAULT_WAIT_S if timeout_s is None else timeout_s) as report,
    ):
        return Run(plan(options), running, report, partition).run()


def _show(summary: Summary, *, as_json: bool) -> None:
    stderr.file.write("\n".join([*summary.lines(), ""]))
    if as_json:
        print_json(summary.members())
