"""A FastAPI application around one `SyncEngine`; see README.md beside it."""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
