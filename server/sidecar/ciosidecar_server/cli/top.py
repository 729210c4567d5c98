"""The command `ciosidecar top`."""

import asyncio
import json
import sys
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.live import Live

from ..settings import DEFAULT_ADMIN_LISTEN
from .admin_client import AdminAddress, AdminClient, admin_client
from .outcome import Failed, run
from .output import OutputConsole, print_json
from .top_screen import screen


def top(
    *,
    admin: AdminAddress = DEFAULT_ADMIN_LISTEN,
    once: Annotated[bool, Parameter(negative=())] = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    interval_s: Annotated[float, Parameter(alias="--interval", validator=Number(gte=0.1))] = 1.0,
) -> None:
    """Show the destinations and streams of a running sidecar, live in the terminal, until Ctrl-C.

    If standard output is not a terminal, one line of JSON is printed. docs/operations/admin.md explains its
    members.

    Args:
        admin: Address of the sidecar's admin port: the "admin" of its ready line.
        once: Print the state once, and end.
        json_: Print the state as one line of JSON, and end.
        interval_s: Seconds between two looks.
    """
    run(_top(admin, interval_s, once=once, as_json=json_ or not sys.stdout.isatty()))


async def _top(admin: str, interval_s: float, *, once: bool, as_json: bool) -> None:
    try:
        async with admin_client(admin) as client:
            state = await _state(client)
            if as_json:
                print_json(state)
            elif once:
                OutputConsole().print(screen(state))
            else:
                await _live(client, state, interval_s)
    except asyncio.CancelledError:
        return  # Ctrl-C is the usual end


async def _live(client: AdminClient, state: dict[str, Any], interval_s: float) -> None:
    with Live(screen(state), console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(interval_s)
            stale = ""
            try:
                state = await _state(client)
            except Failed as problem:
                stale = str(problem)  # the sidecar may come back
            live.update(screen(state, stale), refresh=True)


async def _state(client: AdminClient) -> dict[str, Any]:
    try:
        state = json.loads(await client.state())
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("destinations"), list):
        raise Failed("the admin port answers something else: it is not the port of a sidecar")
    return state
