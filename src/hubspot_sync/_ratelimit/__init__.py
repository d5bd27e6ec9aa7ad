"""Permits for calls: as many as HubSpot's limits allow, and no avoidable 429."""

from hubspot_sync._ratelimit.daily import DailyPot
from hubspot_sync._ratelimit.ledger import Outcome, Usage
from hubspot_sync._ratelimit.limiter import LimiterShelf, RateLimiter
from hubspot_sync._ratelimit.window import Permit, RollingWindow

__all__ = [
    "DailyPot",
    "LimiterShelf",
    "Outcome",
    "Permit",
    "RateLimiter",
    "RollingWindow",
    "Usage",
]
