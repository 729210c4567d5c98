"""`ciosidecar deliver`."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from ciosidecar import DeliveryOptions, Result, SidecarError, StreamOptions
from cyclopts import Parameter, validators

from ..jsonl.reading import chunks_of_lines
from ..jsonl.streaming import LineStream
from ..jsonl.summary import Summary
from ..jsonl.writing import delivered_line
from .files import open_input, read_file
from .outcome import EXIT_FAILED, Failed, drop_output, run, say, stderr
from .output import CannotWrite, Lines
from .progress import delivering
from .sidecar import CustomerioUrl, Target, check_destined, client_of

_STREAM = StreamOptions(client_name="ciosidecar deliver", reconnect_for_s=5)


def deliver(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    *,
    config: Path | None = None,
    target: Target = None,
    customerio_url: CustomerioUrl = None,
    timeout_s: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
    with_requests: bool = False,
    show_secrets: bool = False,
) -> None:
    """Deliver events to Customer.io: JSON lines in, what became of each out, in the same order.

    A line in is {"event": {…}, "config": {…}}, or the bare event with --config FILE; for records
    "connection": {…} stands beside the event. A line out is {"status": 200, "delivery":
    {"attempts", "http_status", "reason", "latency_ms"}, "warnings": […]}; with "error" where it
    failed; {"status": 298, "reason": …} where it was filtered. A summary goes to stderr, with
    Customer.io's own reasons.

    What fails for now is tried again until --timeout-s is over; the person's later events wait for
    it, and come back as BLOCKED if it stays undelivered. The exit code is 0 if nothing failed.
    Where the output cannot be written, delivery stops with exit code 1, and stderr says how many
    lines were written and which lines of the input have no answer.

    Parameters
    ----------
    file
        File of events, one JSON object a line; - for standard input.
    config
        File with the destination's settings as the RudderStack dashboard's JSON, for all lines.
    timeout_s
        Seconds the delivery of an event may take, waiting for its turn and retries included; the
        sidecar's own limit, 60 unless it was started with another, if not given.
    with_requests
        Print the requests, too. One that covers several events is on the last line it covers.
    show_secrets
        Print Authorization headers instead of masking them.
    """
    options = DeliveryOptions(timeout_s=timeout_s, include_requests=with_requests)
    run(_deliver(file, config, target, customerio_url, options, show_secrets=show_secrets))


async def _deliver(
    file: str,
    config: Path | None,
    target: str | None,
    customerio_url: str | None,
    options: DeliveryOptions,
    *,
    show_secrets: bool,
) -> None:
    check_destined(target, customerio_url)
    config_json = None if config is None else read_file(config)
    summary = Summary("delivered")
    out = Lines()

    def done(event: bytes, result: Result, line_of: Mapping[int, int]) -> None:
        out.write(
            delivered_line(
                result,
                line_of,
                with_requests=options.include_requests,
                show_secrets=show_secrets,
            )
        )
        summary.count(event, result)

    with open_input(file) as lines, delivering(summary) as progress:
        progress.add_task("events", total=None)
        try:
            async with (
                client_of(target, customerio_url) as client,
                client.stream(options=_STREAM, deliver=options) as stream,
            ):
                line_stream = LineStream(stream, config_json, pack=True, done=done)
                await _run(line_stream, chunks_of_lines(lines))
        finally:
            progress.stop()
            summary.show(stderr)
    if summary.refused or summary.failed_for_now:
        raise SystemExit(EXIT_FAILED)


async def _run(line_stream: LineStream, chunks: Iterator[list[bytes | None]]) -> None:
    """All lines; where it ends too early, says which of them have no answer."""
    try:
        await line_stream.run(chunks)
    except BrokenPipeError:
        drop_output()
        say(_unanswered(line_stream))
        raise Failed("nobody reads the output any more, so delivery stopped") from None
    except (asyncio.CancelledError, CannotWrite, SidecarError):
        say(_unanswered(line_stream))
        raise


def _unanswered(line_stream: LineStream) -> str:
    done, sent = line_stream.lines_done, line_stream.lines_sent
    if sent <= done:
        return f"ended after line {done}: nothing after it was sent"
    return (
        f"ended after line {done}: lines {done + 1} to {sent} have no answer here and may have been"
        " delivered or not; nothing after them was sent. Sending them again is harmless where"
        " events have a messageId"
    )
