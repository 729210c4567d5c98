"""Whether the environment asks for tracing, and the OpenTelemetry SDK that it asks for."""

import logging
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tracing import TracingObserver

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_DEFAULT_PROTOCOL = "http/protobuf"
_EXTRA = "opentelemetry.sdk.trace"
_log = logging.getLogger(__name__)


def tracing_observer(environment: Mapping[str, str], version: str) -> "TracingObserver | None":
    """Return an observer that exports spans, or None if the environment does not ask for it.

    A variable that cannot be followed is logged; the server goes on without traces.

    Args:
        environment: the environment of the process. An OTLP endpoint in it turns tracing on.
        version: the version of the server, for the spans' resource.
    """
    if not _wanted(environment):
        return None
    if find_spec("opentelemetry") is None or find_spec(_EXTRA) is None:
        _log.warning(
            "no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed;"
            " install ciosidecar-server[tracing]"
        )
        return None
    protocol = next(filter(None, map(environment.get, _PROTOCOLS)), _DEFAULT_PROTOCOL)
    try:
        # The module needs the extra, and takes memory that a server without traces saves.
        sdk = import_module(f"{__package__}.tracing_sdk")
        observer: TracingObserver = sdk.exporting_observer(protocol, version)
    except Exception as fault:  # noqa: BLE001 - the SDK raises many kinds for values that it cannot read
        _log.warning("no traces: OpenTelemetry refuses its OTEL_ variables: %s", fault)
        return None
    return observer


def _wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return False
    return any(environment.get(name, "").strip() for name in _ENDPOINTS)
