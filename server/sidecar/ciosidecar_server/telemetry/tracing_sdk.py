"""The OpenTelemetry SDK with the exporter of a protocol. Imported only if tracing is on: it is an extra."""

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from .tracing import TracingObserver

_EXPORTERS = {"grpc": GrpcExporter, "http/protobuf": HttpExporter}


def exporting_observer(protocol: str, version: str) -> TracingObserver:
    """Return an observer that exports its spans to the endpoint of the environment.

    Args:
        protocol: grpc or http/protobuf, as OTEL_EXPORTER_OTLP_PROTOCOL names them.
        version: the version of the server, for the spans' resource.

    Raises:
        ValueError: the protocol is neither, or a variable cannot be read.
    """
    exporter = _EXPORTERS.get(protocol)
    if exporter is None:
        raise ValueError(f"the protocol must be grpc or http/protobuf, not {protocol!r}")
    resource = Resource.create({"service.name": "ciosidecar", "service.version": version})
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over these names.
    resource = resource.merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter()))
    return TracingObserver(provider)
