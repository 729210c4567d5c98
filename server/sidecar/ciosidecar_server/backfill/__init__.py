"""Backfills: files of events → requests or deliveries, in order for each person, on the workers of an engine.

It uses the transform and, for deliveries, the Python client. Without delivery no module here imports gRPC.
"""
