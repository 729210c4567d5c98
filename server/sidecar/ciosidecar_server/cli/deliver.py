"""The command `ciosidecar deliver`."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from ciosidecar import DeliveryOptions, Result, SidecarError, StreamOptions
from cyclopts import Parameter, validators

from ..counted import counted
from ..jsonl.reading import NoConfig, chunks_of_lines, message_id
from ..jsonl.streaming import InputLine, LineStream
from ..jsonl.summary import Summary
from ..jsonl.writing import delivered_line
from .failed_file import FailedFile
from .files import StandardInput, check_one_input, open_input, read_config
from .outcome import EXIT_FAILED, EXIT_USAGE, Failed, drop_output, run, say, stderr
from .output import Lines
from .progress import delivering
from .sidecar import check_destined, client_of
from .target import Target

_STREAM = StreamOptions(client_name="ciosidecar deliver", reconnect_for_s=5)


def deliver(
    file: str = "-",
    *,
    config: Path | None = None,
    target: Annotated[Target, Parameter(name="*")] = Target(),  # noqa: B008 - frozen
    customerio_url: str | None = None,
    failed: Path | None = None,
    timeout_s: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
    with_requests: bool = False,
    show_secrets: bool = False,
    standard_input: StandardInput = False,
) -> None:
    """Deliver events to Customer.io. Prints one result for each line of input, in the same order.

    An input line is {"event": {…}, "config": {…}}, or only the event with --config FILE. A record also
    has "connection": {…}. An output line is {"line": 1, "messageId": …, "status": 200,
    "delivery": {"attempts", "http_status", "reason", "latency_ms"}, "warnings": […]}. It has "error" if the event failed, and is
    {…, "status": 298, "reason": …} if the event was filtered. A blank line of input has no
    line of output. A summary with Customer.io's own reasons
    goes to stderr.

    A retryable failure is retried until --timeout-s is over. Later events of the same person wait
    for it, and fail with BLOCKED if it stays undelivered. The exit code is 0 if no event failed. If
    --failed or the output cannot be written, delivery stops with exit code 1; stderr then says how many lines
    were written and which input lines have no result.

    Args:
        file: File of events, one JSON object a line; - for standard input.
        config: JSON file with the destination's settings, as in the RudderStack dashboard, for all
            lines.
        target: The running sidecar to use.
        customerio_url: URL to send to instead of Customer.io, for example the sandbox's URL. Not
            with --target.
        failed: File for the events that failed, with their reasons: a new one, or an empty one. `deliver`
            and `backfill` read it as it is. After Ctrl-C, it also has the events without a result.
        timeout_s: Seconds that the delivery of an event may take, queueing and retries included.
            Defaults to the sidecar's --delivery-timeout-s.
        with_requests: Also print the requests. A request for several events is on the last of their
            lines.
        show_secrets: Print Authorization headers instead of masking them.
        standard_input: Read standard input, as without a file.
    """
    check_one_input(file, standard_input=standard_input)
    options = DeliveryOptions(timeout_s=timeout_s, include_requests=with_requests)
    run(_deliver(file, config, target, customerio_url, options, failed, show_secrets=show_secrets))


async def _deliver(
    file: str,
    config: Path | None,
    target: Target,
    customerio_url: str | None,
    options: DeliveryOptions,
    failed: Path | None,
    *,
    show_secrets: bool,
) -> None:
    check_destined(target, customerio_url)
    config_json = read_config(config)
    summary = Summary("delivered")
    out = Lines()

    def done(line: InputLine, result: Result, line_of: Mapping[int, int]) -> None:
        # First, because the output may have no reader any more.
        failed_file.add(line, result)
        out.write(
            delivered_line(
                result,
                line_of,
                line=line.number,
                message_id=message_id(line.event),
                with_requests=options.include_requests,
                show_secrets=show_secrets,
            )
        )
        summary.count(line.event, result)

    with (
        open_input(file) as lines,
        FailedFile(failed, source=file, has_config=config is None) as failed_file,
        delivering(summary) as progress,
    ):
        progress.add_task("events", total=None)
        try:
            async with (
                client_of(target, customerio_url) as client,
                client.stream(options=_STREAM, deliver=options) as stream,
            ):
                line_stream = LineStream(stream, config_json, pack=True, done=done)
                try:
                    await _run(line_stream, chunks_of_lines(lines))
                finally:
                    failed_file.add_unfinished(line_stream.unfinished())
        finally:
            progress.stop()
            summary.show(stderr)
            _say_what_failed(summary, failed, failed_file)
    if summary.permanent_failures or summary.retryable_failures:
        raise SystemExit(EXIT_FAILED)


def _say_what_failed(summary: Summary, failed: Path | None, failed_file: FailedFile) -> None:
    if summary.unsent:
        say(
            f"{_events(summary.unsent)} not sent within --timeout-s: raise it, or use `ciosidecar backfill`"
        )
    if failed is not None:
        say(f"{_events(failed_file.events)} written to {failed} (--failed)")


def _events(count: int) -> str:
    return f"{counted(count, 'event', grouped=True)} {'was' if count == 1 else 'were'}"


async def _run(line_stream: LineStream, chunks: Iterator[list[bytes | None]]) -> None:
    """Deliver all lines. If that ends early, say on stderr which lines have no result."""
    try:
        await line_stream.run(chunks)
    except NoConfig as problem:
        raise Failed(str(problem), EXIT_USAGE) from None
    except BrokenPipeError:
        drop_output()
        say(_unanswered(line_stream))
        raise Failed("the reader of standard output is gone, so delivery stopped") from None
    except (asyncio.CancelledError, Failed, SidecarError):
        say(_unanswered(line_stream))
        raise


def _unanswered(line_stream: LineStream) -> str:
    done, sent = line_stream.lines_done, line_stream.lines_sent
    if sent <= done:
        return f"ended after line {done}: no later line was sent"
    return (
        f"ended after line {done}: lines {done + 1} to {sent} have no result; each may have been"
        " delivered or not. No later line was sent. Sending events again is harmless if they have a"
        " messageId"
    )
