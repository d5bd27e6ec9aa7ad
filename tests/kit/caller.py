"""A bare HTTP client for the emulator's tests: no retries, nothing hidden."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync.testing.emulator import HubSpotEmulator


@attrs.frozen
class Reply:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        """The ids of the results."""
        return [one["id"] for one in self.json["results"]]

    @property
    def after(self) -> str | None:
        """Where the next page begins."""
        after: str | None = self.json.get("paging", {}).get("next", {}).get("after")
        return after


class Caller:
    """Calls one emulator, or its like at *base_url*, with the static access token."""

    def __init__(self, emulator: HubSpotEmulator, base_url: str | None = None) -> None:
        self.emulator = emulator
        self.base_url = base_url or emulator.base_url
        self.access_token: str | None = emulator.access_token

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request on a connection of its own."""
        host, _, port = self.base_url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=300)
        if self.access_token is not None:
            headers.setdefault("Authorization", f"Bearer {self.access_token}")
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Reply:
        """A GET; a list becomes a comma-separated parameter."""
        flat = {k: ",".join(v) if isinstance(v, list) else v for k, v in query.items()}
        return self.call("GET", f"{path}?{urlencode(flat)}" if flat else path)

    def post(self, path: str, body: Any = None) -> Reply:
        """A POST of JSON."""
        return self.call("POST", path, json.dumps(body).encode())

    def form(self, path: str, **fields: str) -> Reply:
        """A POST of a form."""
        return self.call("POST", path, urlencode(fields).encode())

    def search(self, object_type: str, *filters: Mapping[str, Any], **more: Any) -> Reply:
        """A search with one filter group, sorted by id."""
        groups = [{"filters": list(filters)}] if filters else []
        body = {"filterGroups": groups, "sorts": ["hs_object_id"], "limit": 200, **more}
        return self.post(f"/crm/v3/objects/{object_type}/search", body)
