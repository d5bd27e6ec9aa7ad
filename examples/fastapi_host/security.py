"""Who calls: API keys of clients, and invitations that go through a person's browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hubspot_sync import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGEST_SIZE: Final = 32
_LONGEST_DOMAIN: Final = 200
_PURPOSE: Final = b"fastapi_host invitation 1"
INVITATION_LIFETIME: Final = timedelta(minutes=10)


def new_api_key() -> str:
    """A key for a client: 256 random bits, so that a plain digest of it gives nothing away."""
    return "hsk_" + secrets.token_urlsafe(32)


def _digest(api_key: str) -> bytes:
    return hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).digest()


def _is_domain(_instance: object, _attribute: object, domain_id: str) -> None:
    """Refuse what cannot be a tenant, or cannot be read again from a list with spaces between."""
    readable = domain_id.isprintable() and " " not in domain_id
    if not readable or not 1 <= len(domain_id) <= _LONGEST_DOMAIN:
        raise ConfigurationError(
            f"the domain of an API key has 1 to {_LONGEST_DOMAIN} characters and no spaces"
        )


@frozen
class ApiKey:
    """What the host keeps of a key.

    Attributes:
        domain_id: The tenant that it opens.
        digest: SHA-256 of it; the key itself is the client's alone.
    """

    domain_id: str = field(validator=_is_domain)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, domain_id: str, api_key: str) -> ApiKey:
        """What is kept of *api_key*.

        Raises:
            ConfigurationError: *domain_id* cannot be written into the settings.
        """
        return cls(domain_id, _digest(api_key))

    @classmethod
    def parse(cls, text: str) -> ApiKey:
        """Read what `str` gives.

        Raises:
            ConfigurationError: It is not of this form.
        """
        domain_id, _, digest = text.rpartition(":")
        try:
            key = cls(domain_id, bytes.fromhex(digest))
        except ValueError:
            key = cls(domain_id, b"")
        if len(key.digest) != _DIGEST_SIZE:
            raise ConfigurationError(
                "an API key in the settings has to be domain:digest, with 64 hexadecimal digits; "
                "python -m fastapi_host key DOMAIN makes one"
            )
        return key

    def __str__(self) -> str:
        return f"{self.domain_id}:{self.digest.hex()}"


class ApiKeys:
    """Tells whose an API key is.

    Args:
        keys: All that are good.
    """

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = tuple(keys)

    @property
    def domains(self) -> frozenset[str]:
        """The tenants that have a key."""
        return frozenset(key.domain_id for key in self._keys)

    def domain_of(self, api_key: str) -> str | None:
        """The tenant that *api_key* opens, or None.

        All keys are compared, each in constant time, so the time it takes says nothing about how
        close a guess was or which tenant it would have been.
        """
        presented = _digest(api_key)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, presented):
                found = key.domain_id
        return found


@frozen
class Invitation:
    """That somebody of a tenant may connect an account, said by whoever has the tenant's key.

    Attributes:
        domain_id: The tenant.
        account_id: The account that is to be connected again; None for any.
    """

    domain_id: str
    account_id: str | None = None


class Invitations:
    """Makes invitations that a browser can carry and nobody can alter; good for ten minutes.

    Args:
        encryption_keys: What theirs is derived from, the present one first.
    """

    def __init__(self, encryption_keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in encryption_keys])

    def seal(self, invitation: Invitation) -> str:
        """The invitation as text for URLs and cookies."""
        content = json.dumps([invitation.domain_id, invitation.account_id])
        return self._fernet.encrypt(content.encode()).decode()

    def open(self, text: str) -> Invitation | None:
        """What `seal` made of it, or None when it is out of date, altered or not ours."""
        lifetime = int(INVITATION_LIFETIME.total_seconds())
        try:
            content = self._fernet.decrypt(text.encode("utf-8", "surrogatepass"), ttl=lifetime)
        except InvalidToken:
            return None
        return Invitation(*json.loads(content))


def _derived(encryption_key: str) -> bytes:
    """A key for this use alone."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derivation.derive(encryption_key.encode()))
