"""The web page: the state of the sandbox, and the outcome of each request."""

from .routes import page_routes

__all__ = ["page_routes"]
