"""What the environment says: credentials, the OAuth app and keys, as in `sync_account`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubspot_sync._encryption import CredentialKeys
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import OAuthApp, OAuthTokens, StaticAccessToken

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCESS_TOKEN: Final = "HUBSPOT_ACCESS_TOKEN"  # noqa: S105 - where it is
APP: Final = ("HUBSPOT_CLIENT_ID", "HUBSPOT_CLIENT_SECRET")
REFRESH_TOKEN: Final = "HUBSPOT_REFRESH_TOKEN"  # noqa: S105 - where it is
KEY: Final = "HUBSPOT_SYNC_KEY"
OLD_KEYS: Final = "HUBSPOT_SYNC_OLD_KEYS"


def credentials_in(environment: Mapping[str, str]) -> StaticAccessToken | OAuthTokens | None:
    """The credentials that a sync begins with; None for those that are stored.

    Raises:
        ConfigurationError: There are none, nor a key to open stored ones with.
    """
    token, app, key = token_in(environment), app_in(environment), environment.get(KEY)
    refresh_token = environment.get(REFRESH_TOKEN)
    if token is not None:
        return token
    if key and not refresh_token:
        return None
    if not refresh_token or app is None:
        missing = [name for name in (*APP, REFRESH_TOKEN) if not environment.get(name)]
        raise ConfigurationError(
            f"no credentials: set {ACCESS_TOKEN}, or all of {', '.join(APP)} and {REFRESH_TOKEN} "
            f"(missing: {', '.join(missing)}), or {KEY} alone where the store has some"
        )
    if not key:
        raise ConfigurationError(
            f"the store will keep OAuth tokens, so it needs an encryption key: set {KEY}, made "
            "once with python -c "
            "'from hubspot_sync import CredentialKeys; print(CredentialKeys.generate_key())'"
        )
    return OAuthTokens(refresh_token=refresh_token)


def token_in(environment: Mapping[str, str]) -> StaticAccessToken | None:
    """The access token, if there is one; it always counts."""
    token = environment.get(ACCESS_TOKEN)
    return StaticAccessToken(token) if token else None


def app_in(environment: Mapping[str, str]) -> OAuthApp | None:
    """The OAuth app, if there is one."""
    client_id, client_secret = (environment.get(name) for name in APP)
    if not client_id or not client_secret:
        return None
    return OAuthApp(client_id=client_id, client_secret=client_secret)


def cipher_in(environment: Mapping[str, str]) -> CredentialKeys | None:
    """The keys that open stored credentials, if there are any; the first one seals."""
    key = environment.get(KEY)
    return CredentialKeys(key, *environment.get(OLD_KEYS, "").split()) if key else None
