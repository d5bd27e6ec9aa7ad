"""Permits for calls: as many as HubSpot's limits allow, and no avoidable 429."""

from hubspot_sync._limits.account import LimiterShelf, RateLimiter
from hubspot_sync._limits.daily import DailyPot
from hubspot_sync._limits.ledger import Outcome, Usage
from hubspot_sync._limits.window import Permit, RollingWindow

__all__ = [
    "DailyPot",
    "LimiterShelf",
    "Outcome",
    "Permit",
    "RateLimiter",
    "RollingWindow",
    "Usage",
]
