"""The `state` of a consent: who asked for it, signed, good for minutes, and used once.

HubSpot gives it back through the person's browser, so it is trusted only as far as its signature.
Without it, whoever gets somebody to open a link could connect an account of their own choice to
that person's domain (RFC 6749, 10.12).

Layout: the content as JSON and an HMAC-SHA256 over its text, both in URL-safe base64 without
padding, with a dot between. The key is derived from the app's client secret, for this use alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import orjson
from attrs import frozen
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hubspot_sync._clock import is_ahead
from hubspot_sync.errors import ConsentError

if TYPE_CHECKING:
    from hubspot_sync._clock import Clock
    from hubspot_sync.interfaces import NonceStore
    from hubspot_sync.models import OAuthApp

_PURPOSE: Final = b"hubspot-sync consent state 1\x00"
_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 16
_LONGEST_PROOF: Final = 5_000  # with a domain of 200 characters, escaped
_LIFETIME: Final = timedelta(minutes=10)


@frozen(kw_only=True)
class Consent:
    """What a person was sent to HubSpot for.

    Attributes:
        domain_id: The domain that asked.
        account_id: The account that is to be connected again, or None for any.
        nonce: Unlike that of every other consent.
        expires_at: When it is out of date, aware.
    """

    domain_id: str
    account_id: str | None
    nonce: str
    expires_at: datetime


class ConsentDesk:
    """Gives out proofs that a domain asked for a consent, and takes each back once.

    Args:
        app: The OAuth app; another app's secret makes and takes other proofs.
        nonces: Remembers which were used.
        clock: Tells when one is out of date.
        lifetime: How long a person has from leaving for HubSpot to coming back.
    """

    def __init__(
        self, *, app: OAuthApp, nonces: NonceStore, clock: Clock, lifetime: timedelta = _LIFETIME
    ) -> None:
        self._key = HKDF(
            algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=_PURPOSE + app.client_id.encode()
        ).derive(app.client_secret.encode())
        self._nonces = nonces
        self._clock = clock
        self._lifetime = lifetime

    def ask(self, domain_id: str, account_id: str | None = None) -> str:
        """A proof that *domain_id* asked for a consent just now, to be sent as `state`."""
        expires_at = self._clock.now() + self._lifetime
        nonce = secrets.token_urlsafe(_NONCE_SIZE)
        content = [domain_id, account_id, nonce, int(expires_at.timestamp() * 1000)]
        text = _encoded(orjson.dumps(content))
        return f"{text}.{self._signature(text)}"

    def accept(self, proof: str | None, domain_id: str) -> Consent:
        """Take a proof of *domain_id* back; it is no use from then on.

        Raises:
            ConsentError: It is not as it was given out, belongs to another domain, is out of date
                or was used before.
            StoreUnavailableError: What was used cannot be asked for; it stays good.
        """
        if not proof:
            raise _refused("altered", "is missing")
        if len(proof) > _LONGEST_PROOF:
            raise _refused("altered", "was not given out by this app, or was altered on its way")
        text, _, signature = proof.partition(".")
        given, right = (_bytes(part) for part in (signature, self._signature(text)))
        if not hmac.compare_digest(given, right):
            raise _refused("altered", "was not given out by this app, or was altered on its way")
        consent = _decoded(text)
        if consent.domain_id != domain_id:
            raise _refused("other_domain", "was given out to another domain")
        now = self._clock.now()
        # Given out in the future: by a wrong clock, so nobody knows how long it was to be good.
        if consent.expires_at <= now or is_ahead(consent.expires_at - self._lifetime, now):
            raise _refused("expired", "is out of date")
        if not self._nonces.spend(consent.nonce, consent.expires_at):
            raise _refused("used", "was used before")
        return consent

    def _signature(self, text: str) -> str:
        return _encoded(hmac.digest(self._key, _bytes(text), "sha256"))


def _bytes(text: str) -> bytes:
    """Any text as bytes: what comes back from a browser may be no well-formed text."""
    return text.encode("utf-8", "surrogatepass")


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> Consent:
    """What *text* says, whose signature was found right."""
    try:
        content = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        domain_id, account_id, nonce, milliseconds = content
        expires_at = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    except (binascii.Error, TypeError, ValueError):
        pass
    else:
        return Consent(
            domain_id=domain_id, account_id=account_id, nonce=nonce, expires_at=expires_at
        )
    raise _refused("altered", "is of another version of this library")


def _refused(reason: str, what: str) -> ConsentError:
    return ConsentError(
        f"the `state` that came back from HubSpot {what}; nothing was connected, send the person "
        "to HubSpot again with a new URL",
        reason=reason,
    )
