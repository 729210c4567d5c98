"""Request templates as results carry them, encoded once for each stream or call."""

from typing import NamedTuple

from ciosidecar.v1 import request_pb2 as pb
from ciosidecar_transform.requests import RequestTemplate

from .sizes import template_bytes

# Settings with {{ path }} have a template for each event, and prepared requests one each. An ordinary template has 200 bytes.
_MAX_BYTES = 1_000_000


class EncodedTemplate(NamedTuple):
    """A template on the wire."""

    message: bytes
    """An ApiRequestTemplate."""
    counted_bytes: int
    """What it counts for in the size of a message."""


def encode_template(template: RequestTemplate, headers: dict[str, str]) -> EncodedTemplate:
    """Return a template on the wire. headers: those that the caller may see."""
    message = pb.ApiRequestTemplate(
        method=template.method,
        base_url=template.base_url,
        endpoint_path=template.endpoint_path,
        headers=headers,
    )
    return EncodedTemplate(message.SerializeToString(deterministic=True), template_bytes(template))


class EncodedTemplates:
    """The templates that a stream or call has used lately. They hold credentials: it forgets them at its end."""

    def __init__(self) -> None:
        self._encoded: dict[RequestTemplate, EncodedTemplate] = {}
        self._bytes = 0

    def get(self, template: RequestTemplate) -> EncodedTemplate:
        """Return a template, with all its headers."""
        encoded = self._encoded.get(template)
        if encoded is None:
            if self._bytes > _MAX_BYTES:
                self._encoded.clear()
                self._bytes = 0
            encoded = self._encoded[template] = encode_template(template, template.headers)
            self._bytes += len(encoded.message)
        return encoded
