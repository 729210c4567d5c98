"""The command `ciosidecar check`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from ciosidecar import v1
from cyclopts import Parameter

from .checked_destinations import Subject, subjects
from .outcome import EXIT_FAILED, run
from .output import OutputConsole, print_json, printing
from .sidecar import check_destined, client_of
from .target import Target

_REGIONS = {v1.Region.REGION_US: "US", v1.Region.REGION_EU: "EU"}
_NOT_ASKED = v1.Probe(reason="Customer.io was not asked because the settings are not usable")


def check(
    *,
    config: Path | None = None,
    destinations: Annotated[Path | None, Parameter(show_env_var=False)] = None,
    ref: Annotated[str | None, Parameter(show_env_var=False)] = None,
    destination_defaults: Annotated[Path | None, Parameter(show_env_var=False)] = None,
    target: Annotated[Target, Parameter(name="*")] = Target(),  # noqa: B008 - frozen
    probe: bool = False,
    customerio_url: str | None = None,
    json: bool = False,
) -> None:
    """Validate a destination's settings, or those of a whole file of destinations.

    Prints the problems and notes by key. A key that is no setting is a note, which names the setting
    that may be meant. The exit code is 0 if every destination is usable, else 1. With --probe the exit
    code is also 1 if Customer.io does not accept the credentials, serves the workspace in another
    region, or does not answer.

    Args:
        config: JSON file with the destination's settings, as in the RudderStack dashboard.
        destinations: File of destinations, as for serve.
        ref: Only this destination of the file; without a file, one that the sidecar of --target knows.
        destination_defaults: File of defaults, as for serve.
        target: The running sidecar to use.
        probe: Also ask Customer.io if it accepts the credentials, and for the workspace's region.
            No other request is sent.
        customerio_url: URL to send to instead of Customer.io, for example the sandbox's URL. Not
            with --target.
        json: Print one line of JSON: {"usable": …, "problems": [{"key", "message", "fatal"}]}, and
            with --probe "probe": {"credentials_accepted", "region", "environment_id", "reason"}.
            With --destinations: {"usable": …, "destinations": [{"ref", "usable", …}]}.
    """
    run(
        _check(
            lambda: subjects(config, destinations, ref, destination_defaults, target.target),
            target,
            customerio_url,
            probe=probe,
            json=json,
            whole_file=destinations is not None,
        )
    )


async def _check(
    asked: Callable[[], list[Subject]],
    target: Target,
    customerio_url: str | None,
    *,
    probe: bool,
    json: bool,
    whole_file: bool,
) -> None:
    if probe:
        check_destined(target, customerio_url)
    to_check = asked()
    async with client_of(target, customerio_url if probe else None) as client:
        checked = [
            _Checked(subject.ref, answer, _probed(answer) if probe else None)
            for subject in to_check
            for answer in [await subject.check(client, probe=probe)]
        ]
    good = all(one.good for one in checked)
    if json and whole_file:
        listed = [{"ref": one.ref} | _as_json(one.answer, one.probed) for one in checked]
        print_json({"usable": all(one.answer.usable for one in checked), "destinations": listed})
    elif json:
        print_json(_as_json(checked[0].answer, checked[0].probed))
    else:
        with printing():
            for one in checked:
                _show(one.ref if whole_file else "", one.answer, one.probed)
    if not good:
        raise SystemExit(EXIT_FAILED)


class _Checked(NamedTuple):
    ref: str
    answer: v1.CheckDestinationResponse
    probed: v1.Probe | None

    @property
    def good(self) -> bool:
        """Whether the destination is usable and, as far as was asked, its credentials are accepted."""
        return self.answer.usable and (self.probed is None or self.probed.credentials_accepted)


def _probed(answer: v1.CheckDestinationResponse) -> v1.Probe:
    return answer.probe if answer.HasField("probe") else _NOT_ASKED


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


def _show(ref: str, answer: v1.CheckDestinationResponse, probed: v1.Probe | None) -> None:
    """Print an answer. ref: of the destination, "" if it is the only one."""
    console = OutputConsole(highlight=False, soft_wrap=True)
    if ref:
        console.print(f"{ref}:", end=" ", markup=False)
    console.print("usable" if answer.usable else "not usable", style=_style(good=answer.usable))
    for problem in answer.problems:
        label = "[red]error[/]" if problem.fatal else "[yellow]note[/]"
        console.print(label, end=" ")
        console.print(f"{problem.key} {problem.message}".strip(), markup=False)
    if probed is None:
        return
    words = "credentials accepted"
    if not probed.credentials_accepted:
        words = f"credentials not confirmed: {probed.reason}"
    console.print(words, style=_style(good=probed.credentials_accepted), markup=False)
    if probed.region in _REGIONS:
        console.print(f"region {_REGIONS[probed.region]}")
    if probed.environment_id:
        console.print(f"environment id {probed.environment_id}")


def _style(*, good: bool) -> str:
    return "green" if good else "red"
