"""The command line: parse, call, print."""

import os

# gRPC's core reads this when it is imported; its notices are not for whoever reads our stderr.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO, NoReturn

import cyclopts
import cyclopts.config
import uvloop
from ciosidecar import AsyncClient, Result, SidecarError, StreamOptions
from cyclopts import App, Parameter
from msgspec.json import encode
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from . import PROTOCOL_VERSION, __version__
from .app import CannotListen, Sidecar, serve
from .jsonl.reading import chunks_of_lines
from .jsonl.transforming import LineTransform
from .jsonl.writing import Summary, result_line
from .sandbox.settings import CannotStart, SandboxSettings
from .settings import Settings

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = App(
    name="ciosidecar",
    help="RudderStack events in, Customer.io requests out, over gRPC.",
    version=__version__,
    config=cyclopts.config.Env("CIOSIDECAR_", command=False),
)
_STREAM = StreamOptions(client_name="ciosidecar transform", reconnect_for_s=5)
_stderr = Console(stderr=True)

Target = Annotated[
    str | None,
    Parameter(help="Address of a running sidecar. Without it, one is started for this call."),
]


class Failed(Exception):
    """The command cannot do what it was asked; the text says why and what to do."""

    def __init__(self, text: str, code: int = EXIT_FAILED) -> None:
        super().__init__(text)
        self.code = code


@app.command(name="serve")
def serve_command(settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> None:  # noqa: B008 - frozen
    """Run the sidecar until SIGTERM or Ctrl-C.

    Prints one line of JSON when it is ready: the addresses really bound, the protocol version and
    the process id. Logs go to stderr. On SIGTERM or Ctrl-C open streams are told to drain and get
    --grace seconds to finish; a second signal ends them at once. The exit code is 0 either way.

    Every option can also be set in the environment: CIOSIDECAR_GRACE_S=30.
    """
    _run(_serve(settings))


async def _serve(settings: Settings) -> None:
    level = settings.log_level.upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise Failed("--log-level must be debug, info, warning or error", EXIT_USAGE)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ready = asyncio.get_running_loop().create_future()
    ready.add_done_callback(_print_ready)
    await serve(settings, ready)


def _print_ready(ready: "asyncio.Future[list[str]]") -> None:
    line = {
        "ready": True,
        "listen": ready.result(),
        "protocol": PROTOCOL_VERSION,
        "version": __version__,
        "pid": os.getpid(),
    }
    print(encode(line).decode(), flush=True)


@app.command(name="transform")
def transform_command(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    *,
    config: Path | None = None,
    target: Target = None,
    pack: bool = False,
    show_secrets: bool = False,
) -> None:
    """Show what events become: JSON lines in, JSON lines out, in the same order.

    A line in is {"event": {…}, "config": {…}}, or the bare event with --config FILE. A line out is
    {"status": 200, "requests": […], "warnings": […]}, {"status": 400, "error": {…}} or
    {"status": 298, "reason": …}. Progress and a summary go to stderr. Nothing is sent to Customer.io.

    Parameters
    ----------
    file
        File of events, one JSON object a line; - for standard input.
    config
        File with the destination's settings as the RudderStack dashboard's JSON, for all lines.
    pack
        Let group events share requests, as on the wire. The request is shown on the last line it
        covers, with the numbers of all its lines.
    show_secrets
        Print Authorization headers instead of masking them.
    """
    _run(_transform(file, config, target, pack=pack, show_secrets=show_secrets))


async def _transform(
    file: str, config: Path | None, target: str | None, *, pack: bool, show_secrets: bool
) -> None:
    config_json = None if config is None else _read_file(config)
    summary = Summary()
    out = sys.stdout.buffer
    with _open_input(file) as lines, _progress() as progress:
        task = progress.add_task("events", total=None)

        def done(event: bytes, result: Result, line_of: Mapping[int, int]) -> None:
            out.write(result_line(result, line_of, show_secrets=show_secrets))
            out.flush()
            summary.count(event, result)
            progress.update(task, advance=1)

        try:
            async with _client(target) as client, client.stream(options=_STREAM) as stream:
                transform = LineTransform(stream, config_json, pack=pack, done=done)
                await transform.run(chunks_of_lines(lines))
        finally:
            progress.stop()
            summary.show(_stderr)


@app.command(name="check")
def check_command(*, config: Path, target: Target = None, json: bool = False) -> None:
    """Say whether a destination can work, and what is wrong with its settings, by key.

    The exit code is 0 if it can, 1 if it cannot.

    Parameters
    ----------
    config
        File with the destination's settings as the RudderStack dashboard's JSON.
    json
        Print one line of JSON: {"usable": …, "problems": [{"key", "text", "fatal"}]}.
    """
    _run(_check(config, target, json=json))


async def _check(config: Path, target: str | None, *, json: bool) -> None:
    config_json = _read_file(config)
    async with _client(target) as client:
        answer = await client.check(config_json)
    if json:
        problems = [
            {"key": one.key, "text": one.text, "fatal": one.fatal} for one in answer.problems
        ]
        print(encode({"usable": answer.usable, "problems": problems}).decode())
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print("[green]usable[/]" if answer.usable else "[red]not usable[/]")
        for one in answer.problems:
            label = "[red]error[/]" if one.fatal else "[yellow]ignored[/]"
            console.print(f"{label} {f'{one.key} ' if one.key else ''}{one.text}")
    if not answer.usable:
        raise SystemExit(EXIT_FAILED)


sandbox_app = App(
    name="sandbox",
    help="Run a Customer.io of your own on loopback, in memory.",
    # Its own prefix: CIOSIDECAR_LISTEN is where `serve` listens.
    config=cyclopts.config.Env("CIOSIDECAR_SANDBOX_", command=False),
)
app.command(sandbox_app)


@sandbox_app.default
def sandbox_command(
    settings: Annotated[SandboxSettings, Parameter(name="*")] = SandboxSettings(),  # noqa: B008 - frozen
) -> None:
    """Run a Customer.io of your own on loopback, in memory, until SIGTERM or Ctrl-C.

    It takes all calls of the Track API, v1 and v2, and shows what became of them. Prints one line
    of JSON when it is ready: the URL really listened on, the version and the process id.

    Every option can also be set in the environment: CIOSIDECAR_SANDBOX_KEEP=1000.
    """
    _run(_sandbox(settings))


async def _sandbox(settings: SandboxSettings) -> None:
    from .sandbox.server import run  # noqa: PLC0415 - the other commands do without a web framework

    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    await run(settings, _print_sandbox_ready)


def _print_sandbox_ready(url: str) -> None:
    line = {"ready": True, "url": url, "version": __version__, "pid": os.getpid()}
    print(encode(line).decode(), flush=True)


@contextlib.asynccontextmanager
async def _client(target: str | None) -> AsyncIterator[AsyncClient]:
    """A client of a running sidecar, or of one started for the occasion."""
    if target is not None:
        async with AsyncClient(target) as client:
            yield client
        return
    with TemporaryDirectory(prefix="ciosidecar-") as directory:
        address = f"unix:{directory}/sidecar.sock"
        sidecar = Sidecar(Settings(listen=(address,)))
        await sidecar.start()
        try:
            async with AsyncClient(address) as client:
                yield client
        finally:
            await sidecar.stop_at_once()


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Failed(f"cannot read {path}: {problem.strerror}", EXIT_USAGE) from None


@contextlib.contextmanager
def _open_input(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        if sys.stdin.isatty():
            _stderr.print("reading events from the terminal, one a line; Ctrl-D ends", style="dim")
        yield sys.stdin.buffer
        return
    try:
        opened: BinaryIO = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as problem:
        raise Failed(f"cannot read {file}: {problem.strerror}", EXIT_USAGE) from None
    with opened:
        yield opened


def _progress() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,} events"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=_stderr, transient=True, disable=not _stderr.is_terminal)


def _run(command: Coroutine[Any, Any, None]) -> None:
    """Runs a command; what goes wrong becomes a sentence on stderr and an exit code."""
    try:
        uvloop.run(command)
    except (Failed, CannotListen, CannotStart) as problem:
        _give_up(str(problem), getattr(problem, "code", EXIT_FAILED))
    except SidecarError as problem:
        _give_up(f"no answer from the sidecar: {problem}", EXIT_FAILED)
    except BrokenPipeError:
        # Whoever read our output has enough, which is no error; what is still buffered has no reader.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None


def _give_up(text: str, code: int) -> NoReturn:
    _stderr.print(f"ciosidecar: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(code)


def main() -> None:
    """The entry point."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    app()
