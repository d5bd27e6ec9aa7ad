"""What HubSpot tells about a token (HubSpot 5.1).

The fields are those of `PublicAccessTokenInfoResponse` and `PublicRefreshTokenInfoResponse` in
`Auth/Oauth/Rollouts/279897/2026-03/oauth.json` of HubSpot's specifications.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubspot_sync.testing.emulator._access import USUAL_SCOPES

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator._installations import Installation

_APP: Final = 1_234_567
_USER: Final = 123


def inactive() -> dict[str, Any]:
    """Of a token that is unknown or no longer good: RFC 7662 (2.2); HubSpot's is not documented."""
    return {"active": False}


def of_access(
    installation: Installation, client_id: str, access_token: str, seconds_left: int
) -> dict[str, Any]:
    """Of an access token that is good."""
    content = _common(installation, client_id, access_token, "access_token")
    return {
        **content,
        "expires_in": seconds_left,
        "is_private_distribution": False,
        "signed_access_token": _signed(installation, content["scopes"]),
    }


def of_refresh(installation: Installation, client_id: str, refresh_token: str) -> dict[str, Any]:
    """Of a refresh token that is good."""
    return _common(installation, client_id, refresh_token, "refresh_token")


def _common(installation: Installation, client_id: str, given: str, use: str) -> dict[str, Any]:
    scopes = installation.access.scopes
    return {
        "active": True,
        "token": given,
        "token_type": "bearer",
        "token_use": use,
        "app_id": _APP,
        "client_id": client_id,
        "hub_id": int(installation.account_id),
        "hub_domain": installation.hub_domain,
        "user": f"admin@{installation.hub_domain}",
        "user_id": _USER,
        "scopes": sorted(USUAL_SCOPES if scopes is None else scopes),
    }


def _signed(installation: Installation, scopes: list[str]) -> dict[str, Any]:
    return {
        "appId": _APP,
        "appInstallId": f"emulated-{installation.account_id}",
        "audience": "",
        "expiresAt": 0,
        "hubId": int(installation.account_id),
        "hublet": "na1",
        "installingUserId": _USER,
        "isPrivateDistribution": False,
        "isServiceAccount": False,
        "isUserLevel": False,
        "newSignature": "emulated",
        "scopeToScopeGroupPks": "",
        "scopes": " ".join(scopes),
        "signature": "emulated",
        "trialScopeToScopeGroupPks": "",
        "trialScopes": "",
        "userId": _USER,
    }
