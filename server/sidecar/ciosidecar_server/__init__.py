"""ciosidecar's server: RudderStack events in, Customer.io requests out, over gRPC."""

__version__ = "0.1.0"

PROTOCOL_VERSION = "ciosidecar.v1"
"""The contract's name: the protobuf package it is written in."""
