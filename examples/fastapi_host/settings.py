"""What the host is told by its environment, and the engine that it opens with that.

| Variable | What it is |
| --- | --- |
| `HOST_API_KEYS` | who may call: `domain:digest` for each key, with spaces between |
| `HOST_STORE` | `sqlite:///hubspot.db`, which is the default, or a `mongodb://` URI |
| `HOST_PUBLIC_URL` | where browsers find the host; `http://localhost:8000` by default |
| `HOST_WORKERS` | how many syncs at once; 8 by default |
| `HOST_SYNC_DUE` | `yes`, which is the default, or `no`: leave accounts alone until somebody asks |
| `HUBSPOT_CLIENT_ID`, `HUBSPOT_CLIENT_SECRET` | the HubSpot app |
| `HUBSPOT_SYNC_KEY` | the key that encrypts stored tokens; older ones behind it, with spaces |
| `HUBSPOT_BASE_URL`, `HUBSPOT_CONSENT_URL` | an emulator's, in place of HubSpot's |

The variables that most programs know, such as `NO_PROXY` and `SSL_CERT_FILE`, say how HubSpot is
reached.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from hubspot_sync import ConfigurationError, CredentialKeys, HubSpotSettings, OAuthApp, SyncEngine
from hubspot_sync.stores import open_stores

from .security import ApiKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync.interfaces import Observer, Validator

CALLBACK_PATH: Final = "/oauth/callback"
CONNECTED_PATH: Final = "/oauth/connected"
STATUS_PATH: Final = "/status"
_HUBSPOT: Final = HubSpotSettings()
_NEEDED: Final = ("HOST_API_KEYS", "HUBSPOT_CLIENT_ID", "HUBSPOT_CLIENT_SECRET", "HUBSPOT_SYNC_KEY")


def _are_keys(_instance: object, _attribute: object, keys: tuple[str, ...]) -> None:
    """Refuse keys that are none before anything is served."""
    CredentialKeys(*keys)


def _address(public_url: str) -> str:
    """Where browsers find the host, without a slash at the end."""
    try:
        parts = urlsplit(public_url)
    except ValueError:  # as of http://[
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError("HOST_PUBLIC_URL has to be like https://host.example")
    return public_url.rstrip("/")


@frozen(kw_only=True)
class Settings:
    """What the host works with.

    Attributes:
        api_keys: Who may call, by domain; several for one domain while keys are changed.
        client_id: The HubSpot app's.
        client_secret: The HubSpot app's.
        encryption_keys: The key that seals stored tokens, then older ones that still open.
        store: A URL, as `hubspot_sync.stores.open_stores` takes it.
        public_url: Where browsers find the host, without a slash at the end.
        workers: How many syncs that were asked for run at once, and how many that are due.
        sync_due: Whether accounts are synchronised by themselves when they are due.
        poll_every: How often to look for accounts that are due.
        hubspot: How to talk to HubSpot.
        validators: Rules of the host's own; what breaks one waits among the errors.
    """

    api_keys: tuple[ApiKey, ...]
    client_id: str
    client_secret: str = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False, validator=_are_keys)
    store: str = field(default="sqlite:///hubspot.db", repr=False)
    public_url: str = "http://localhost:8000"
    workers: int = 8
    sync_due: bool = True
    poll_every: timedelta = timedelta(seconds=10)
    hubspot: HubSpotSettings = field(factory=HubSpotSettings)
    validators: Sequence[Validator] = ()

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Settings:
        """Read the variables that the module's docstring lists.

        Raises:
            ConfigurationError: One is missing or wrong; the message names it, never its value.
        """
        missing = [name for name in _NEEDED if not variables.get(name, "").strip()]
        if missing:
            raise ConfigurationError(f"set {', '.join(missing)}; settings.py says what they are")
        workers = variables.get("HOST_WORKERS", "8")
        if not workers.isdecimal() or int(workers) < 1:
            raise ConfigurationError("HOST_WORKERS has to be a number from 1 on")
        sync_due = variables.get("HOST_SYNC_DUE", "yes")
        if sync_due not in ("yes", "no"):
            raise ConfigurationError("HOST_SYNC_DUE has to be yes or no")
        return cls(
            api_keys=tuple(map(ApiKey.parse, variables["HOST_API_KEYS"].split())),
            client_id=variables["HUBSPOT_CLIENT_ID"],
            client_secret=variables["HUBSPOT_CLIENT_SECRET"],
            encryption_keys=tuple(variables["HUBSPOT_SYNC_KEY"].split()),
            store=variables.get("HOST_STORE", "sqlite:///hubspot.db"),
            public_url=_address(variables.get("HOST_PUBLIC_URL", "http://localhost:8000")),
            workers=int(workers),
            sync_due=sync_due == "yes",
            hubspot=HubSpotSettings.from_environment(
                variables,
                base_url=variables.get("HUBSPOT_BASE_URL", _HUBSPOT.base_url),
                consent_url=variables.get("HUBSPOT_CONSENT_URL", _HUBSPOT.consent_url),
            ),
        )

    def open_engine(self, observers: Sequence[Observer]) -> SyncEngine:
        """The engine that all of the host shares; close it at the end."""
        return SyncEngine(
            open_stores(self.store, cipher=CredentialKeys(*self.encryption_keys)),
            oauth_app=OAuthApp(
                client_id=self.client_id,
                client_secret=self.client_secret,
                redirect_uri=self.public_url + CALLBACK_PATH,
            ),
            validators=self.validators,
            hubspot=self.hubspot,
            observers=observers,
        )
