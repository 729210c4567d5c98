"""A local simulator of Customer.io, in memory: its Track API and the workspace behind it."""

__version__ = "0.1.0"
