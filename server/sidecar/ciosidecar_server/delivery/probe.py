"""Questions to Customer.io about a destination: are its credentials accepted, and is its region right."""

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
    """The response of Customer.io."""

    reason: str = ""
    """Why the credentials are not accepted, or why that is not known; "" if they are accepted."""
    region: str | None = None
    """US or EU: the region of the workspace that the credentials belong to; None if it is not known."""
    environment_id: int = 0
    """The workspace's number; 0 if it is not known."""

    @property
    def credentials_accepted(self) -> bool:
        """Return whether Customer.io accepts the credentials."""
        return not self.reason


async def probe(
    template: RequestTemplate, transport: Transport, endpoints: TrackApiEndpoints, timeout_s: float
) -> Probed:
    """Ask for the region of the workspace whose credentials a request template carries.

    Either host responds for both regions, or redirects to the other host: "Track your account region" of the Track API.
    """
    headers = {"Authorization": template.headers["Authorization"]}
    base_url = endpoints.real(template.base_url)
    try:
        for _ in range(_MAX_REDIRECTS):
            response = await transport.send(
                "GET", base_url + _PATH, headers, b"", timeout_s=timeout_s
            )
            redirected_url = endpoints.redirected(response.headers.get("location"))
            if response.status not in REDIRECTS or redirected_url is None:
                break
            base_url = redirected_url
    except NoResponse as failure:
        return Probed(failure.text)
    if response.status != 200:
        reason = in_its_words(read_failures(response.body))
        return Probed(f"Customer.io answered {response.status}" + (f": {reason}" if reason else ""))
    try:
        account: Any = decode(response.body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        account = None
    region = account.get("region") if isinstance(account, dict) else None
    if not isinstance(region, str):
        return Probed("what answers at Customer.io's address is not Customer.io")
    region_name = region.upper()
    environment_id = account.get("environment_id")
    return Probed(
        region=region_name if region_name in BASE_URLS else None,
        environment_id=environment_id
        if type(environment_id) is int and 0 <= environment_id < 2**64
        else 0,
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
