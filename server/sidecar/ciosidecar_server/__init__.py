"""The sidecar: a gRPC server that turns RudderStack events into Customer.io requests."""

__version__ = "0.1.0"

PROTOCOL_VERSION = "ciosidecar.v1"
"""Name of the contract: its protobuf package."""
