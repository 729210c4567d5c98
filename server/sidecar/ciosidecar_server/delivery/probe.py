"""Asks Customer.io about a destination: are its credentials good, and is its region right."""

from typing import Any, NamedTuple

from ciosidecar_transform.requests import BASE_URLS, RequestTemplate
from ciosidecar_transform.settings.reader import SettingProblem
from msgspec import DecodeError
from msgspec.json import decode

from .endpoints import TrackApiEndpoints
from .responses import REDIRECTS, in_its_words, read_failures
from .transport import NoResponse, Transport

_PATH = "/api/v1/accounts/region"
_MAX_REDIRECTS = 3


class Probed(NamedTuple):
    """What Customer.io said."""

    reason: str = ""
    """Why the credentials are not accepted, or are not known to be; "" if they are."""
    region: str | None = None
    """US or EU, of the workspace that the credentials belong to; None if it is not known."""
    environment_id: int = 0
    """The workspace's number; 0 if it is not known."""

    @property
    def credentials_accepted(self) -> bool:
        """Whether Customer.io takes the credentials."""
        return not self.reason


async def probe(
    template: RequestTemplate, transport: Transport, endpoints: TrackApiEndpoints, timeout_s: float
) -> Probed:
    """Asks for the region of the workspace whose credentials a request template carries.

    Either host answers for both regions, or sends elsewhere: "Track your account region" of the
    Track API.
    """
    headers = {"Authorization": template.headers["Authorization"]}
    base_url = endpoints.real(template.base_url)
    try:
        for _ in range(_MAX_REDIRECTS):
            answer = await transport.send(
                "GET", base_url + _PATH, headers, b"", timeout_s=timeout_s
            )
            elsewhere = endpoints.redirected(answer.headers.get("location"))
            if answer.status not in REDIRECTS or elsewhere is None:
                break
            base_url = elsewhere
    except NoResponse as failure:
        return Probed(failure.text)
    if answer.status != 200:
        told = in_its_words(read_failures(answer.body))
        return Probed(f"Customer.io answered {answer.status}" + (f": {told}" if told else ""))
    try:
        found: Any = decode(answer.body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    region = found.get("region") if isinstance(found, dict) else None
    if not isinstance(region, str):
        return Probed("what answers at Customer.io's address is not Customer.io")
    named = region.upper()
    number = found.get("environment_id")
    return Probed(
        region=named if named in BASE_URLS else None,
        environment_id=number if type(number) is int and 0 <= number < 2**64 else 0,
    )


def wrong_region(key: str, region: str) -> SettingProblem:
    """Return what it means that a workspace is in another region than its destination says. Rule 11.2.

    key: the setting that says so. region: where the workspace is.
    """
    if region == "US":
        text = (
            'the workspace is in the US, and Customer.io does not take its requests in the EU: set "US"'
            " (11.2)"
        )
        return SettingProblem(key, text, fatal=True)
    text = (
        f"the workspace is in the {region}: Customer.io sends requests on to there, but they pass"
        f' through the other region, and may be logged in it; set "{region}" (11.2)'
    )
    return SettingProblem(key, text, fatal=False)
