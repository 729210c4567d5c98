"""Request templates as results carry them, encoded once for each stream or call."""

from typing import NamedTuple

from ciosidecar.v1 import request_pb2 as pb
from ciosidecar_transform.requests import RequestTemplate

from .sizes import TEMPLATE_FIELD_BYTES

# Settings with {{ path }} have a template for each event, and prepared requests one each. An ordinary template has 200
# bytes, and a destination up to eight: those of a thousand destinations fit.
_MAX_BYTES = 2_000_000


class EncodedTemplate(NamedTuple):
    """A template on the wire."""

    message: bytes
    """An ApiRequestTemplate."""
    counted_bytes: int
    """What it counts for in the size of a message."""


def encode_template(template: RequestTemplate, headers: dict[str, str]) -> EncodedTemplate:
    """Return a template on the wire. headers: those that the caller may see."""
    return _counted(_encode_start(template) + _encode_headers(headers))


def _counted(message: bytes) -> EncodedTemplate:
    return EncodedTemplate(message, len(message) + TEMPLATE_FIELD_BYTES)


def _encode_start(template: RequestTemplate) -> bytes:
    message = pb.ApiRequestTemplate(
        method=template.method,
        base_url=template.base_url,
        endpoint_path=template.endpoint_path,
    )
    return message.SerializeToString()


def _encode_headers(headers: dict[str, str]) -> bytes:
    """Return the last field of a template."""
    return pb.ApiRequestTemplate(headers=headers).SerializeToString(deterministic=True)


class EncodedTemplates:
    """The templates that a stream or call has used lately. They hold credentials: it forgets them at its end."""

    def __init__(self) -> None:
        self._bytes = 0
        self._encoded: dict[RequestTemplate, EncodedTemplate] = {}
        # The templates of a destination have one dictionary of headers, and those of an endpoint begin alike.
        self._headers: dict[int, tuple[dict[str, str], bytes]] = {}
        self._starts: dict[tuple[str, str, str], bytes] = {}

    def get(self, template: RequestTemplate) -> EncodedTemplate:
        """Return a template, with all its headers."""
        encoded = self._encoded.get(template)
        if encoded is None:
            if self._bytes > _MAX_BYTES:
                for kept in (self._encoded, self._headers, self._starts):
                    kept.clear()
                self._bytes = 0
            encoded = self._encoded[template] = self._encode(template)
            self._bytes += len(encoded.message)
        return encoded

    def _encode(self, template: RequestTemplate) -> EncodedTemplate:
        endpoint = template.method, template.base_url, template.endpoint_path
        start = self._starts.get(endpoint)
        if start is None:
            start = self._starts[endpoint] = _encode_start(template)
            self._bytes += len(start)
        headers = self._headers.get(id(template.headers))
        if headers is None:
            # With the dictionary, because another one may have its id once it is gone.
            headers = template.headers, _encode_headers(template.headers)
            self._headers[id(template.headers)] = headers
            self._bytes += len(headers[1])
        return _counted(start + headers[1])
