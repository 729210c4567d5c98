"""The sizes by which results are split into messages."""

from itertools import chain

from ciosidecar_transform.requests import RequestTemplate

RESERVE_BYTES = 8192
"""The room in each message for what is not counted: one event's detail, with its tag and warnings."""
PER_EVENT_BYTES = 32
"""A status, the numbers and lengths of a request, a position in a shared request."""
_PER_TEXT_BYTES = 16


def template_bytes(template: RequestTemplate) -> int:
    """Return the size of a template. Credentials, and so templates, have any length."""
    texts = (
        template.method,
        template.base_url,
        template.endpoint_path,
        *chain(*template.headers.items()),
    )
    return sum(len(text.encode()) + _PER_TEXT_BYTES for text in texts)
