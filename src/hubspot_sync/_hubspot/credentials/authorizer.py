"""Access tokens on demand: static ones as they are, OAuth ones refreshed ahead of their end."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hubspot_sync._clock import is_ahead
from hubspot_sync._hubspot.calls.secrets import Secret
from hubspot_sync._hubspot.credentials.refresh import oauth_tokens
from hubspot_sync.errors import StoreUnavailableError

if TYPE_CHECKING:
    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.credentials.refresh import Refresher
    from hubspot_sync.models import OAuthTokens, StaticAccessToken, StoredCredentials

# An access token lives 30 minutes; one that ends within a minute, or two by chance, is refreshed.
_MARGIN: Final = timedelta(seconds=60)
_MARGIN_SHARE: Final = 5
# What is left of the margin when it is not sent any more, so that it does not end on its way.
_IN_FLIGHT_SHARE: Final = 4


class StaticAuthorizer:
    """Sends the same access token with every call.

    Args:
        credentials: The access token.
    """

    def __init__(self, credentials: StaticAccessToken) -> None:
        self._access_token = Secret(credentials.access_token)

    def access_token(self) -> Secret:
        """The access token."""
        return self._access_token

    def renew(self, rejected: Secret) -> bool:  # noqa: ARG002 - the protocol's
        """Never possible."""
        return False

    def close(self) -> None:
        """Nothing to do."""


class OAuthAuthorizer:
    """Refreshes an account's access token ahead of its end, once among all threads and processes.

    While it is refreshed, the others go on with the old one as long as that lasts. While the token
    store is away, all do, with new tokens that could not be stored as well.

    Args:
        stored: The account's tokens as the store gave them out.
        refresher: Refreshes them.
        clock: Tells when one ends, and rolls the dice.
    """

    def __init__(self, *, stored: StoredCredentials, refresher: Refresher, clock: Clock) -> None:
        self._refresher = refresher
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = oauth_tokens(stored)
        self._rejected: str | None = None
        # Workers, and the accounts of one, should not all find the same moment.
        self._jitter = 1.0 + clock.random()

    def access_token(self) -> Secret:
        """The access token, refreshed first when its time is nearly up."""
        tokens = self._tokens
        if not self._is_due(tokens):
            return Secret(tokens.access_token or "")
        # One thread sees to it; the others wait for it only when they have to.
        if not self._lock.acquire(blocking=not self._lasts(tokens)):
            return Secret(tokens.access_token or "")
        try:
            return Secret(self._refreshed().access_token or "")
        except StoreUnavailableError:
            if not self._lasts(self._tokens):
                raise
            return Secret(self._tokens.access_token or "")
        finally:
            self._lock.release()

    def renew(self, rejected: Secret) -> bool:
        """Refresh because HubSpot rejected *rejected*, unless another thread just did."""
        self._rejected = rejected.reveal()
        with self._lock:
            self._refreshed()
            return True

    def close(self) -> None:
        """Store new tokens that could not be stored before."""
        with self._lock:
            self._refresher.finish()

    def _refreshed(self) -> OAuthTokens:
        """The newest tokens, with an access token that is good, or that lasts for now."""
        if self._is_due(self._tokens):
            self._tokens = self._refresher.newer(is_due=self._is_due, lasts=self._lasts)
        return self._tokens

    def _is_due(self, tokens: OAuthTokens) -> bool:
        """Whether it is time to refresh."""
        return not self._lasts_for(tokens, _margin(tokens) * self._jitter)

    def _lasts(self, tokens: OAuthTokens) -> bool:
        """Whether the access token may still be sent."""
        return self._lasts_for(tokens, _margin(tokens) / _IN_FLIGHT_SHARE)

    def _lasts_for(self, tokens: OAuthTokens, margin: timedelta) -> bool:
        if tokens.access_token in (None, self._rejected) or tokens.expires_at is None:
            return False
        now, issued_at = self._clock.now(), tokens.issued_at
        # Issued by a clock that was ahead, or by one that has been set back since.
        if issued_at is not None and is_ahead(issued_at, now):
            return False
        return tokens.expires_at - margin > now


def _margin(tokens: OAuthTokens) -> timedelta:
    """How long before its end an access token is refreshed at the latest."""
    if tokens.issued_at is None or tokens.expires_at is None:
        return _MARGIN
    return min(_MARGIN, (tokens.expires_at - tokens.issued_at) / _MARGIN_SHARE)
