"""The wire: the calls, the life of a stream, protobuf ↔ domain. Only this room imports stubs."""
