"""Opens accounts: what outlives a run is kept here.

These are limits, definitions, HubSpot's time, and tokens that no store has taken yet.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from hubspot_sync._hubspot.calls.client import Call, CallCounter, HubSpotClient
from hubspot_sync._hubspot.calls.headers import ServerClock
from hubspot_sync._hubspot.calls.paths import Reach, paths_for
from hubspot_sync._hubspot.calls.transport import Transport
from hubspot_sync._hubspot.credentials.authorizer import OAuthAuthorizer, StaticAuthorizer
from hubspot_sync._hubspot.credentials.endpoint import TokenEndpoint, token_client, token_window
from hubspot_sync._hubspot.credentials.refresh import Refresher
from hubspot_sync._hubspot.records.properties import Cache
from hubspot_sync._hubspot.records.schemas import ObjectTypes
from hubspot_sync._hubspot.records.source import HubSpotSource
from hubspot_sync._limits import DailyPot, LimiterShelf, RateLimiter, RollingWindow
from hubspot_sync._retry import Retrier, RetryPolicy
from hubspot_sync.errors import ConfigurationError, NotConnectedError
from hubspot_sync.models import Retried, StaticAccessToken

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.client import Authorizer, OnRetry
    from hubspot_sync._hubspot.records.properties import Definitions
    from hubspot_sync._hubspot.records.schemas import Schemas
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.interfaces import TokenStore
    from hubspot_sync.models import (
        Account,
        AccountKey,
        Event,
        HubSpotSettings,
        OAuthApp,
    )

_DEFINITIONS_LIFETIME: Final = timedelta(minutes=10)
_DEFINITIONS_KEPT: Final = 512
_BURST_SECONDS: Final = 10.0
_SEARCH_SECONDS: Final = 1.0


class HubSpotConnector:
    """The `SourceFactory` for the real HubSpot.

    Args:
        settings: How to talk to HubSpot.
        tokens: Where the accounts' credentials are.
        app: The OAuth app; needed for accounts with OAuth tokens only.
        clock: Time, waiting and randomness.
    """

    def __init__(
        self,
        *,
        settings: HubSpotSettings,
        tokens: TokenStore,
        app: OAuthApp | None,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._app = app
        self._clock = clock
        self._server_clock = ServerClock(clock)
        self._definitions: Cache[Definitions] = Cache(
            lifetime=_DEFINITIONS_LIFETIME, size=_DEFINITIONS_KEPT, clock=clock
        )
        self._schemas: Cache[Schemas] = Cache(
            lifetime=_DEFINITIONS_LIFETIME, size=_DEFINITIONS_KEPT, clock=clock
        )
        self._reach = Reach()
        self._limiters = LimiterShelf(self._new_limiter, clock)
        self._token_window = token_window(clock)

    def __call__(
        self, account: Account, *, stop: threading.Event, notify: Callable[[Event], None]
    ) -> HubSpotSource:
        """Open *account*; nothing is sent yet."""
        stored = self._tokens.load(account.key)
        if stored is None:
            raise NotConnectedError(
                f"there are no credentials for account {account.key}; connect it by OAuth "
                "(Domain.authorization_url) or with Domain.connect, or give OAuthTokens(...) or "
                "StaticAccessToken(...) to engine.store_credentials(account, ...)",
                account=str(account.key),
            )
        policy = RetryPolicy(max_tries=self._settings.max_tries, max_wait=self._settings.max_wait)
        retrier = Retrier(policy=policy, clock=self._clock, stop=stop)
        # The end of a turn waits for an answer, as long as that may take; `stop()` does not.
        transport = Transport(self._settings, getattr(stop, "at_once", stop))
        calls, on_retry = CallCounter(), _telling(notify, account.key)
        if isinstance(stored.credentials, StaticAccessToken):
            authorizer: Authorizer = StaticAuthorizer(stored.credentials)
            sees_all: Callable[[], bool] = _always
        else:
            endpoint = TokenEndpoint(
                app=self._oauth_app(account),
                client=token_client(
                    transport=transport,
                    window=self._token_window,
                    retrier=retrier,
                    calls=calls,
                    on_retry=on_retry,
                ),
                clock=self._clock,
            )
            refresher = Refresher(
                account=account.key,
                store=self._tokens,
                endpoint=endpoint,
                retrier=retrier,
            )
            authorizer = OAuthAuthorizer(stored=stored, refresher=refresher, clock=self._clock)
            sees_all = partial(_is_of_account, endpoint, authorizer)
        paths = paths_for(self._settings.api_version)
        client = HubSpotClient(
            transport=transport,
            authorizer=authorizer,
            limiter=self._limiters.limiter(account.account_id),
            retrier=retrier,
            calls=calls,
            on_retry=on_retry,
            server_clock=self._server_clock,
            zone=Call(
                endpoint="account",
                method="GET",
                path=paths.account,
                doing=f"asking for the time zone of {account.key}",
            ),
        )
        return HubSpotSource(
            account=account,
            client=client,
            paths=paths,
            definitions=self._definitions,
            object_types=ObjectTypes(
                account=account.key,
                client=client,
                path=paths.schemas,
                association_path=paths.associations,
                cache=self._schemas,
            ),
            reach=self._reach,
            clock=self._clock,
            server_clock=self._server_clock,
            sees_all=sees_all,
        )

    def _oauth_app(self, account: Account) -> OAuthApp:
        if self._app is None:
            raise ConfigurationError(
                f"account {account.key} has OAuth tokens, but the engine knows no OAuth app to "
                "refresh them with; give oauth_app=OAuthApp(...)",
                account=str(account.key),
            )
        return self._app

    def _new_limiter(self) -> RateLimiter:
        """Search counts apart from the ten-second burst, association batches in neither.

        https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
        """
        settings, clock = self._settings, self._clock
        return RateLimiter(
            windows={
                "search": RollingWindow(settings.search_limit, _SEARCH_SECONDS, clock),
                "associations": RollingWindow(None, _BURST_SECONDS, clock),
            },
            rest=RollingWindow(settings.burst_limit, _BURST_SECONDS, clock, learns=True),
            daily=DailyPot(settings.daily_reserve, self._server_clock.now),
        )


def _always() -> bool:
    """Tokens of private apps and service keys are the account's own."""
    return True


def _is_of_account(endpoint: TokenEndpoint, authorizer: Authorizer) -> bool:
    return not endpoint.is_user_level(authorizer.access_token())


def _telling(notify: Callable[[Event], None], account: AccountKey) -> OnRetry:
    """Tells *notify* of every retry of a call."""

    def on_retry(endpoint: str, attempt: int, wait: timedelta, error: RetryableError) -> None:
        notify(
            Retried(what=endpoint, account=account, attempt=attempt, wait=wait, reason=str(error))
        )

    return on_retry
