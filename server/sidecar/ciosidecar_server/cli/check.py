"""The command `ciosidecar check`."""

from pathlib import Path
from typing import Annotated, Any

from ciosidecar import v1
from cyclopts import Parameter
from rich.console import Console

from .files import read_file
from .outcome import EXIT_FAILED, run
from .output import print_json, printing
from .sidecar import check_destined, client_of
from .target import Target

_REGIONS = {v1.Region.REGION_US: "US", v1.Region.REGION_EU: "EU"}
_NOT_ASKED = v1.Probe(reason="Customer.io was not asked because the settings are not usable")


def check(
    *,
    config: Path,
    target: Annotated[Target, Parameter(name="*")] = Target(),  # noqa: B008 - frozen
    probe: bool = False,
    customerio_url: str | None = None,
    json: bool = False,
) -> None:
    """Validate a destination's settings.

    Prints the problems and notes by key. A key that is no setting is a note, which names the setting
    that may be meant. The exit code is 0 if the destination is usable, else 1. With --probe the exit
    code is also 1 if Customer.io does not accept the credentials, serves the workspace in another
    region, or does not answer.

    Args:
        config: JSON file with the destination's settings, as in the RudderStack dashboard.
        target: The running sidecar to use.
        probe: Also ask Customer.io if it accepts the credentials, and for the workspace's region.
            No other request is sent.
        customerio_url: URL to send to instead of Customer.io, for example the sandbox's URL. Not
            with --target.
        json: Print one line of JSON: {"usable": …, "problems": [{"key", "message", "fatal"}]}, and
            with --probe "probe": {"credentials_accepted", "region", "environment_id", "reason"}.
    """
    run(_check(config, target, customerio_url, probe=probe, json=json))


async def _check(
    config: Path, target: Target, customerio_url: str | None, *, probe: bool, json: bool
) -> None:
    if probe:
        check_destined(target, customerio_url)
    config_json = read_file(config)
    async with client_of(target, customerio_url if probe else None) as client:
        answer = await client.check(config_json, probe=probe)
    probed = None
    if probe:
        probed = answer.probe if answer.HasField("probe") else _NOT_ASKED
    if json:
        print_json(_as_json(answer, probed))
    else:
        with printing():
            _show(answer, probed)
    if not answer.usable or (probed is not None and not probed.credentials_accepted):
        raise SystemExit(EXIT_FAILED)


def _as_json(answer: v1.CheckDestinationResponse, probed: v1.Probe | None) -> dict[str, Any]:
    members: dict[str, Any] = {
        "usable": answer.usable,
        "problems": [
            {"key": problem.key, "message": problem.message, "fatal": problem.fatal}
            for problem in answer.problems
        ],
    }
    if probed is not None:
        members["probe"] = {
            "credentials_accepted": probed.credentials_accepted,
            "region": _REGIONS.get(probed.region),
            "environment_id": probed.environment_id or None,
            "reason": probed.reason,
        }
    return members


def _show(answer: v1.CheckDestinationResponse, probed: v1.Probe | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print("usable" if answer.usable else "not usable", style=_style(good=answer.usable))
    for problem in answer.problems:
        label = "[red]error[/]" if problem.fatal else "[yellow]note[/]"
        console.print(label, end=" ")
        console.print(f"{problem.key} {problem.message}".strip(), markup=False)
    if probed is None:
        return
    words = "credentials accepted"
    if not probed.credentials_accepted:
        words = f"credentials not accepted: {probed.reason}"
    console.print(words, style=_style(good=probed.credentials_accepted), markup=False)
    if probed.region in _REGIONS:
        console.print(f"region {_REGIONS[probed.region]}")
    if probed.environment_id:
        console.print(f"environment id {probed.environment_id}")


def _style(*, good: bool) -> str:
    return "green" if good else "red"
