"""What the routes depend on: the host's parts, and the tenant whose key the caller has."""

import asyncio
import unicodedata
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from attrs import frozen
from fastapi import Depends, HTTPException, Path, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import AfterValidator, Field

from hubspot_sync import Domain, SyncEngine

from .security import ApiKeys, Arrivals, Invitations, WrongKeys
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
        wrong_keys: Slow down who guesses.
        invitations: Go through browsers.
        arrivals: Say afterwards that it went well.
    """

    settings: Settings
    engine: SyncEngine
    syncs: Syncs
    api_keys: ApiKeys
    wrong_keys: WrongKeys
    invitations: Invitations
    arrivals: Arrivals


async def the_host(request: Request) -> Host:
    """The host, as its lifespan made it."""
    host: Host = request.state.host
    return host


TheHost = Annotated[Host, Depends(the_host)]


class KeyedRoute(APIRoute):
    """A route for clients with an API key, at which it looks before anything else.

    A dependency would come too late: FastAPI reads the body before it asks them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What FastAPI calls for each request."""
        handle = super().get_route_handler()

        async def handle_for_tenant(request: Request) -> Response:
            request.state.tenant = await _tenant_of(request)
            return await handle(request)

        return handle_for_tenant


async def _tenant_of(request: Request) -> Domain:
    """The accounts of the tenant whose API key came with the request, and nobody else's.

    A right key is taken however many wrong ones came from the same address: clients may share one.
    """
    host = await the_host(request)
    bearer = await _bearer(request)
    api_key = await _header(request) or (bearer and bearer.credentials)
    domain_id = host.api_keys.domain_of(api_key) if api_key else None
    if domain_id is not None:
        return host.engine.domain(domain_id)
    if api_key:
        address = request.client.host if request.client else ""
        wait = host.wrong_keys.count(address, asyncio.get_running_loop().time())
        if wait:
            raise HTTPException(
                429,
                "Too many wrong API keys. Wait before you send another that may be wrong.",
                headers={"Retry-After": str(wait)},
            )
    raise HTTPException(
        401,
        "Send a valid API key, as X-API-Key or as a bearer token.",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def the_tenant(request: Request) -> Domain:
    """The tenant whose key was found to be good."""
    tenant: Domain = request.state.tenant
    return tenant


def _readable(text: str) -> str:
    """Refuse what a log, a page or a database could not show as it is."""
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise ValueError("must not have control characters, line breaks or halves of characters")
    return text


# For routers with `KeyedRoute`: what the description of the API says of keys.
KEYS = [Security(_header), Security(_bearer)]
Tenant = Annotated[Domain, Depends(the_tenant)]
# As the library takes it: without zeros before it, with which it would be another account's.
ACCOUNT_ID = "^(0|[1-9][0-9]{0,19})$"
AccountId = Annotated[str, Path(pattern=ACCOUNT_ID, description="HubSpot's id of the account")]
ObjectType = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,100}$")]
ObjectId = Annotated[str, Field(pattern="^[0-9]{1,20}$")]
READABLE = AfterValidator(_readable)
