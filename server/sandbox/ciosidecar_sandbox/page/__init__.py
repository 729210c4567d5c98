"""The page: what is in the sandbox and what became of each request, for people with a browser."""

from .routes import page_routes

__all__ = ["page_routes"]
