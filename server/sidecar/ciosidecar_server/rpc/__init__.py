"""The calls of the contract, the life of a stream, and protobuf ↔ domain.

No other package of the server imports the stubs.
"""
