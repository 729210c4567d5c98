"""The calls of Customer.io's Track API: method, path, body and answers.

Written from what its documentation and its clients say, and from observed answers; docs/rules.md
and docs/sandbox.md say more of each. A schema describes a well-formed request. The API takes more
than that in places, and `tests/sandbox/test_vendor_schema.py` lists where the sandbox does.
"""

import re
from functools import cache
from typing import NamedTuple

from jsonschema import Draft202012Validator

from . import version_1, version_2
from .shapes import NOTHING, TEXT, WHOLE_NUMBER, Schema, any_of, choice, fields, listed

REGION = fields(
    {
        "url": {"type": "string", "pattern": r"^https://track(-eu)?\.customer\.io$"},
        "region": choice("us", "eu"),
        "environment_id": WHOLE_NUMBER,
    }
)
_ERRORS_OF_VERSION_1 = fields(
    {"meta": any_of((fields({"error": TEXT}), fields({"errors": listed(TEXT, 1)})))}
)
_PROBLEM: Schema = {"reason": TEXT, "field": TEXT, "message": TEXT}
_ERRORS_OF_VERSION_2 = fields({"errors": listed(fields(_PROBLEM), 1)})
_ERRORS_OF_ITEMS = fields({"errors": listed(fields({"batch_index": WHOLE_NUMBER} | _PROBLEM), 1)})

_DONE: dict[int, Schema] = {200: NOTHING}
_CHECKED = _DONE | {400: _ERRORS_OF_VERSION_1}
_CHECKED_2 = _DONE | {400: _ERRORS_OF_VERSION_2}


class Endpoint(NamedTuple):
    """One call of the API."""

    method: str
    path: str
    body: Schema | None
    """None: the call has no body."""
    answers: dict[int, Schema]
    """The body of each answer by status; 401 and what every server may answer left out."""

    @property
    def validator(self) -> Draft202012Validator:
        """Return the checker of request bodies."""
        assert self.body is not None, self.path
        return Draft202012Validator(self.body)


_CUSTOMER = "/api/v1/customers/{identifier}"
_SEGMENT = "/api/v1/segments/{segment_id}"
ENDPOINTS = (
    Endpoint("GET", "/api/v1/accounts/region", None, {200: REGION}),
    Endpoint("PUT", _CUSTOMER, version_1.PROFILE, _CHECKED),
    Endpoint("DELETE", _CUSTOMER, None, _DONE),
    Endpoint("PUT", _CUSTOMER + "/devices", version_1.DEVICE, _CHECKED),
    Endpoint("DELETE", _CUSTOMER + "/devices/{device_id}", None, _CHECKED),
    Endpoint("POST", _CUSTOMER + "/suppress", None, _DONE),
    Endpoint("POST", _CUSTOMER + "/unsuppress", None, _DONE),
    Endpoint("POST", _CUSTOMER + "/events", version_1.EVENT, _CHECKED),
    Endpoint("POST", "/api/v1/events", version_1.ANONYMOUS_EVENT, _CHECKED),
    Endpoint("POST", "/api/v1/merge_customers", version_1.MERGE, _CHECKED),
    Endpoint("POST", _SEGMENT + "/add_customers", version_1.SEGMENT, _CHECKED),
    Endpoint("POST", _SEGMENT + "/remove_customers", version_1.SEGMENT, _CHECKED),
    Endpoint(
        "POST",
        "/api/v1/forms/{form_id}/submit",
        version_1.FORM,
        {204: NOTHING, 400: _ERRORS_OF_VERSION_1},
    ),
    Endpoint("POST", "/api/v1/metrics", version_1.METRIC, _DONE),
    Endpoint("POST", "/api/v1/push/events", version_1.PUSH_METRIC, _DONE),
    Endpoint("POST", "/unsubscribe/{delivery_id}", version_1.UNSUBSCRIBE, _CHECKED),
    Endpoint("POST", "/api/v2/entity", version_2.OPERATION, _CHECKED_2),
    Endpoint("POST", "/api/v2/batch", version_2.BATCH, _CHECKED_2 | {207: _ERRORS_OF_ITEMS}),
)


def endpoint(method: str, path: str) -> Endpoint:
    """Return the call of a method and a path, or of the path's template. Raises KeyError."""
    for candidate in ENDPOINTS:
        if candidate.method == method and _pattern(candidate.path).fullmatch(path):
            return candidate
    raise KeyError(f"{method} {path}")


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


def is_valid(method: str, path: str, body: object) -> bool:
    """Return whether a request is well-formed."""
    return bool(endpoint(method, path).validator.is_valid(body))
