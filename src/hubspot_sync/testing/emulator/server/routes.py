"""Which path is which endpoint, in every API family that HubSpot serves side by side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote

import attrs

from hubspot_sync.testing.emulator.endpoints import (
    account,
    associations,
    objects,
    reference,
    removals,
)
from hubspot_sync.testing.emulator.endpoints.consent import AUTHORIZE
from hubspot_sync.testing.emulator.refusals import not_found, unsupported, wrong_method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync.testing.emulator.endpoints.consent import ConsentPage
    from hubspot_sync.testing.emulator.endpoints.installations import Installation
    from hubspot_sync.testing.emulator.endpoints.oauth import TokenEndpoints
    from hubspot_sync.testing.emulator.wire import Answer, Request

    Endpoint: TypeAlias = Callable[[Installation, Request], Answer]

# https://developers.hubspot.com/docs/developer-tooling/platform/versioning
_DATED: Final = "(?P<version>2025-09|2026-03|2026-09)"
_OAUTH: Final = "(?P<version>v1|v3|2026-03|2026-09)"
_INTROSPECTING: Final = "(?P<version>v3|2026-03|2026-09)"
_FAMILY: Final = re.compile(
    r"/(?P<oauth>oauth/)?(?:[a-z-]+/){0,2}(?P<version>v\d+|\d{4}-\d{2})(?:/|$)"
)
_TYPE: Final = "(?P<object_type>[^/]+)"
_TO: Final = "(?P<to_type>[^/]+)"
_OBJECT: Final = "(?P<object_id>[^/]+)"
_PROPERTY: Final = "(?P<property_name>[^/]+)"
_SCHEMAS: Final = "/crm(?:-object-schemas)?/v3/schemas"

# name, method, legacy path, date-based path, endpoint; more specific paths first
_TABLE: Final[tuple[tuple[str, str, str, str, Endpoint], ...]] = (
    (
        "search",
        "POST",
        f"/crm/v3/objects/{_TYPE}/search",
        f"/crm/objects/{_DATED}/{_TYPE}/search",
        objects.search,
    ),
    (
        "batch_read",
        "POST",
        f"/crm/v3/objects/{_TYPE}/batch/read",
        f"/crm/objects/{_DATED}/{_TYPE}/batch/read",
        objects.batch_read,
    ),
    (
        "archive",
        "POST",
        f"/crm/v3/objects/{_TYPE}/batch/archive",
        f"/crm/objects/{_DATED}/{_TYPE}/batch/archive",
        removals.batch_archive,
    ),
    (
        "merge",
        "POST",
        f"/crm/v3/objects/{_TYPE}/merge",
        f"/crm/objects/{_DATED}/{_TYPE}/merge",
        removals.merge_objects,
    ),
    (
        "erase",
        "POST",
        f"/crm/v3/objects/{_TYPE}/gdpr-delete",
        f"/crm/objects/{_DATED}/{_TYPE}/gdpr-delete",
        removals.erase_object,
    ),
    (
        "associations",
        "POST",
        f"/crm/v4/associations/{_TYPE}/{_TO}/batch/read",
        f"/crm/associations/{_DATED}/{_TYPE}/{_TO}/batch/read",
        associations.batch_associations,
    ),
    (
        "labels",
        "GET",
        f"/crm/v4/associations/{_TYPE}/{_TO}/labels",
        f"/crm/associations/{_DATED}/{_TYPE}/{_TO}/labels",
        associations.list_labels,
    ),
    (
        "associations",
        "GET",
        f"/crm/v4/objects/{_TYPE}/{_OBJECT}/associations/{_TO}",
        f"/crm/objects/{_DATED}/{_TYPE}/{_OBJECT}/associations/{_TO}",
        associations.get_associations,
    ),
    (
        "associations",
        "GET",
        f"/crm/v3/objects/{_TYPE}/{_OBJECT}/associations/{_TO}",
        "",
        associations.continue_inline,
    ),
    (
        "get",
        "GET",
        f"/crm/v3/objects/{_TYPE}/{_OBJECT}",
        f"/crm/objects/{_DATED}/{_TYPE}/{_OBJECT}",
        objects.get_object,
    ),
    (
        "archive",
        "DELETE",
        f"/crm/v3/objects/{_TYPE}/{_OBJECT}",
        f"/crm/objects/{_DATED}/{_TYPE}/{_OBJECT}",
        removals.delete_object,
    ),
    (
        "list",
        "GET",
        f"/crm/v3/objects/{_TYPE}",
        f"/crm/objects/{_DATED}/{_TYPE}",
        objects.list_objects,
    ),
    (
        "properties",
        "GET",
        f"/crm/v3/properties/{_TYPE}",
        f"/crm/properties/{_DATED}/{_TYPE}",
        account.list_properties,
    ),
    (
        "properties",
        "GET",
        f"/crm/v3/properties/{_TYPE}/{_PROPERTY}",
        f"/crm/properties/{_DATED}/{_TYPE}/{_PROPERTY}",
        account.get_property,
    ),
    (
        "schemas",
        "GET",
        _SCHEMAS,
        f"/crm-object-schemas/{_DATED}/schemas",
        account.list_schemas,
    ),
    (
        "schemas",
        "GET",
        f"{_SCHEMAS}/{_TYPE}",
        f"/crm-object-schemas/{_DATED}/schemas/{_TYPE}",
        account.get_schema,
    ),
    (
        "owners",
        "GET",
        "/crm/v3/owners",
        f"/crm/owners/{_DATED}",
        reference.list_owners,
    ),
    (
        "owners",
        "GET",
        f"/crm/v3/owners/{_OBJECT}",
        f"/crm/owners/{_DATED}/{_OBJECT}",
        reference.get_owner,
    ),
    (
        "pipelines",
        "GET",
        f"/crm/v3/pipelines/{_TYPE}",
        f"/crm/pipelines/{_DATED}/{_TYPE}",
        reference.list_pipelines,
    ),
    (
        "pipelines",
        "GET",
        f"/crm/v3/pipelines/{_TYPE}/{_OBJECT}",
        f"/crm/pipelines/{_DATED}/{_TYPE}/{_OBJECT}",
        reference.get_pipeline,
    ),
    (
        "pipelines",
        "GET",
        f"/crm/v3/pipelines/{_TYPE}/{_OBJECT}/stages",
        f"/crm/pipelines/{_DATED}/{_TYPE}/{_OBJECT}/stages",
        reference.list_stages,
    ),
    (
        "account",
        "GET",
        "/account-info/v3/details",
        f"/account-info/{_DATED}/details",
        account.account_details,
    ),
)

# What HubSpot has and the emulator does not: a 404 would be a guess.
_VERSION: Final = r"(?:v\d+|\d{4}-\d{2})"
_CRM_AREAS: Final = (
    "(?:owners|pipelines|lists|imports|exports|limits|timeline|associations|extensions)"
)
_AREAS: Final = (
    "(?:account-info|appinstalls|app-webhooks|automation|cms|communication-preferences"
    "|conversations|events|files|integrations|marketing|settings|webhooks|webhooks-journal)"
)
_OBJECT_WRITES: Final = "batch/(?:create|update|upsert)"
_ELSEWHERE: Final = re.compile(
    rf"/crm/(?:{_VERSION}/{_CRM_AREAS}|{_CRM_AREAS}/{_VERSION})(?:/.*)?"
    rf"|/crm/(?:v3/objects|objects/{_VERSION})/[^/]+/{_OBJECT_WRITES}"
    rf"|/{_AREAS}/(?:.*/)?{_VERSION}(?:/.*)?"
)
# Methods with which HubSpot changes what the emulator only shows.
_WRITES: Final = {
    "list": {"POST"},
    "get": {"PATCH"},
    "properties": {"POST", "PATCH", "DELETE"},
    "schemas": {"POST", "PATCH", "DELETE"},
    "associations": {"PUT", "DELETE"},
    "pipelines": {"POST", "PATCH", "PUT", "DELETE"},
    "labels": {"POST", "PUT", "DELETE"},
}


@attrs.frozen(kw_only=True)
class Route:
    """One endpoint under all its paths.

    Attributes:
        name: For faults and the call log.
        pot: Which rate window counts its calls: "burst", "search" or "none".
        open: Whether it takes no credentials.
    """

    name: str
    method: str
    pattern: re.Pattern[str]
    endpoint: Endpoint
    pot: str = "burst"
    open: bool = False


def build_routes(tokens: TokenEndpoints, page: ConsentPage) -> tuple[Route, ...]:
    """The table, for every account alike."""
    return (
        _open("oauth", "POST", f"/oauth/{_OAUTH}/token", tokens.exchange),
        _open("introspect", "POST", f"/oauth/{_INTROSPECTING}/token/introspect", tokens.introspect),
        _open("revoke", "POST", f"/oauth/{_INTROSPECTING}/token/revoke", tokens.revoke),
        _open("authorize", "GET", AUTHORIZE, page.show),
        _open("authorize", "POST", AUTHORIZE, page.decide),
        *(_route(row) for row in _TABLE),
    )


def family_of(path: str) -> str:
    """The API family of a path: "v3", "2026-03", "oauth-v1"; "" where it has none.

    HubSpot retires them one by one, and then a path is unknown: HubSpot 5.1 and 6.
    """
    match = _FAMILY.match(path)
    if match is None:
        return ""
    return f"oauth-{match['version']}" if match["oauth"] else match["version"]


def find_route(routes: Sequence[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """The route for a path and the path's variable parts.

    Raises:
        RefusalError: No such path (404), or not with this method (405), or HubSpot has it and the
            emulator does not (501).
    """
    matched: list[str] = []
    for route in routes:
        match = route.pattern.fullmatch(path)
        if match is None:
            continue
        matched.append(route.name)
        if route.method == method:
            parts = match.groupdict()
            return route, {
                name.rstrip("_"): unquote(part) for name, part in parts.items() if part is not None
            }
    writing = any(method in _WRITES.get(name, ()) for name in matched)
    if writing or (not matched and _ELSEWHERE.fullmatch(path)):
        raise unsupported(f"{method} {path[:100]}")
    raise wrong_method() if matched else not_found()


def _open(name: str, method: str, path: str, endpoint: Callable[[Request], Answer]) -> Route:
    return Route(
        name=name,
        method=method,
        pattern=_pattern(path, ""),
        endpoint=lambda _, request: endpoint(request),
        pot="none",
        open=True,
    )


def _route(row: tuple[str, str, str, str, Endpoint]) -> Route:
    name, method, legacy, dated, endpoint = row
    pot = "search" if name == "search" else "burst"
    if name == "associations" and method == "POST":
        # HubSpot exempts them from the ten-second pot (HubSpot 1.7, "burst bucket").
        pot = "none"
    return Route(
        name=name,
        method=method,
        pattern=_pattern(legacy, dated),
        endpoint=endpoint,
        pot=pot,
    )


def _pattern(legacy: str, dated: str) -> re.Pattern[str]:
    # Python wants every group name once: the second path's groups get a suffix.
    twin = dated.replace(">", "_>")
    return re.compile(f"(?:{legacy}|{twin})/?" if dated else f"{legacy}/?")
