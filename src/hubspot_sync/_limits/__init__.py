"""Permits for calls: as many as HubSpot's limits allow, and no avoidable 429."""

from hubspot_sync._limits.account import DailyPot, LimiterShelf, RateLimiter
from hubspot_sync._limits.window import Outcome, Permit, RollingWindow, Usage

__all__ = [
    "DailyPot",
    "LimiterShelf",
    "Outcome",
    "Permit",
    "RateLimiter",
    "RollingWindow",
    "Usage",
]
