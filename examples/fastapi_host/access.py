"""What the routes depend on: the host's parts, and the tenant whose key the caller has."""

from typing import Annotated

from attrs import frozen
from fastapi import Depends, HTTPException, Path, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import Field

from hubspot_sync import Domain, SyncEngine

from .security import ApiKeys, Invitations
from .settings import Settings
from .syncs import Syncs

_header = APIKeyHeader(name="X-API-Key", auto_error=False)
_bearer = HTTPBearer(auto_error=False)


@frozen(kw_only=True)
class Host:
    """The parts that all requests share.

    Attributes:
        settings: What the host was told.
        engine: The engine.
        syncs: Runs it in threads.
        api_keys: Tell who calls.
        invitations: Go through browsers.
    """

    settings: Settings
    engine: SyncEngine
    syncs: Syncs
    api_keys: ApiKeys
    invitations: Invitations


async def the_host(request: Request) -> Host:
    """The host, as its lifespan made it."""
    host: Host = request.state.host
    return host


TheHost = Annotated[Host, Depends(the_host)]


async def the_tenant(
    host: TheHost,
    header: Annotated[str | None, Security(_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Domain:
    """The accounts of the tenant whose API key came with the request, and nobody else's."""
    api_key = header or (bearer and bearer.credentials)
    domain_id = host.api_keys.domain_of(api_key) if api_key else None
    if domain_id is None:
        raise HTTPException(
            401,
            "Send a valid API key, as X-API-Key or as a bearer token.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return host.engine.for_domain(domain_id)


Tenant = Annotated[Domain, Depends(the_tenant)]
# As the library takes it: without zeros before it, with which it would be another account's.
ACCOUNT_ID = "^(0|[1-9][0-9]{0,19})$"
AccountId = Annotated[str, Path(pattern=ACCOUNT_ID, description="HubSpot's id of the account")]
ObjectType = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,100}$")]
