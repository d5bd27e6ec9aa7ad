"""Asks HubSpot which account an access token opens, before anything is stored."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hubspot_sync._hubspot.calls.answers import account_details, shaped
from hubspot_sync._hubspot.calls.errors import error_for, malformed_access_token
from hubspot_sync._hubspot.calls.paths import paths_for
from hubspot_sync._hubspot.calls.secrets import Secret
from hubspot_sync._hubspot.credentials.brief import brief_retrier, brief_transport, log_retry
from hubspot_sync.errors import HubSpotUnavailableError

if TYPE_CHECKING:
    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.transport import Transport
    from hubspot_sync.models import AccountDetails, HubSpotSettings, StaticAccessToken


class HubSpotProbe:
    """The `CredentialsProbe` for the real HubSpot.

    Args:
        settings: How to talk to HubSpot.
        clock: Time, waiting and randomness.
    """

    def __init__(self, *, settings: HubSpotSettings, clock: Clock) -> None:
        self._settings = settings
        self._retrier = brief_retrier(settings, clock, threading.Event())

    def __call__(self, credentials: StaticAccessToken) -> AccountDetails:
        """Ask which account *credentials* open; see `CredentialsProbe`."""
        transport = brief_transport(self._settings)
        try:
            return self._retrier.call(
                lambda: self._once(transport, Secret(credentials.access_token)), on_retry=log_retry
            )
        except HubSpotUnavailableError as error:
            hopeless = malformed_access_token(error)
            if hopeless is None:
                raise
            raise hopeless from error
        finally:
            transport.close()

    def _once(self, transport: Transport, access_token: Secret) -> AccountDetails:
        path = paths_for(self._settings.api_version).account
        answer = transport.send("GET", path, access_token=access_token)
        if not answer.ok:
            raise error_for(answer, "asking which account the access token opens")
        return shaped(account_details, answer.json(), "asking which account the access token opens")
