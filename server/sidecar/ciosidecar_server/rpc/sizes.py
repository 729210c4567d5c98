"""What results take of a message. Both writers of results count by this, and by nothing else."""

from itertools import chain

from ciosidecar_transform.requests import RequestTemplate

RESERVE_BYTES = 8192
"""What a message may grow by beyond what was counted before: one event's detail, with its tag and as
many warnings as are told."""
PER_EVENT_BYTES = 32
"""A status, a request's numbers and lengths, a position in a request that is shared."""
_PER_TEXT_BYTES = 16


def template_bytes(template: RequestTemplate) -> int:
    """Return what a template takes, the first time that a message needs it: credentials have any length."""
    texts = (
        template.method,
        template.base_url,
        template.endpoint_path,
        *chain(*template.headers.items()),
    )
    return sum(len(text.encode()) + _PER_TEXT_BYTES for text in texts)
