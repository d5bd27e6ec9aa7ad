"""The host with an emulator in place of HubSpot, and what to type to try it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import uvicorn

from hubspot_sync import CredentialKeys, HubSpotSettings
from hubspot_sync.testing import HubSpotEmulator

from .app import create_app
from .security import ApiKey, new_api_key
from .settings import Settings

_TEXT = """
In a browser, {url}/status shows the accounts of whoever has this key:

  {acme}

Or connect an account from the shell: ask for a link, and open it in a browser.

  curl -X POST -H 'X-API-Key: {acme}' {url}/accounts/connect

Choose account 62515 there, which has 20,000 contacts (62516 is a small one, with 500).
Then look, sync, and follow:

  curl -H 'X-API-Key: {acme}' {url}/accounts
  curl -X POST -H 'X-API-Key: {acme}' {url}/accounts/62515/sync
  curl -N -H 'X-API-Key: {acme}' {url}/accounts/62515/sync/events

Another tenant sees nothing of it:

  curl -H 'X-API-Key: {globex}' {url}/accounts

{url}/docs has all there is.
"""


def demo(port: int) -> None:
    """Serve until interrupted; everything is gone afterwards."""
    url = f"http://localhost:{port}"
    keys = {domain_id: new_api_key() for domain_id in ("acme", "globex")}
    with (
        tempfile.TemporaryDirectory() as folder,
        HubSpotEmulator(contacts=20_000, companies=4_000, latency=0.1) as hubspot,
    ):
        hubspot.add_account(contacts=500, companies=100)
        settings = Settings(
            api_keys=tuple(ApiKey.of(*pair) for pair in keys.items()),
            client_id=hubspot.client_id,
            client_secret=hubspot.client_secret,
            encryption_keys=(CredentialKeys.generate_key(),),
            store=f"sqlite:///{Path(folder, 'demo.db')}",
            public_url=url,
            sync_due=False,
            hubspot=HubSpotSettings(
                base_url=hubspot.base_url,
                consent_url=f"{hubspot.base_url}/oauth/authorize",
                burst_limit=None,
                search_limit=None,
            ),
        )
        print(_TEXT.format(url=url, **keys), flush=True)
        uvicorn.run(create_app(settings), port=port, log_level="warning", http="h11", ws="none")
