"""A Customer.io of one's own on loopback, in memory: its Track API and what is behind it."""

__version__ = "0.1.0"
