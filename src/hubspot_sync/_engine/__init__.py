"""The engine: one pipeline a stream, from HubSpot to the sink."""

from hubspot_sync._engine.domain import Domain
from hubspot_sync._engine.engine import SyncEngine

__all__ = ["Domain", "SyncEngine"]
