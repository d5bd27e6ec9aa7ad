"""Who calls: API keys of clients, and what goes sealed through a person's browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import secrets
from collections import OrderedDict
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from attrs import astuple, field, frozen
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hubspot_sync import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIGEST_SIZE: Final = 32
_LONGEST_DOMAIN: Final = 200
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


class _Allowance:
    """How many wrong keys are let pass: a number at once, and one more every *seconds*."""

    def __init__(self, number: int, seconds: float, now: float) -> None:
        self._number = number
        self._seconds = seconds
        self._left = float(number)
        self._at = now

    def take(self, now: float) -> int:
        """Take one; gives how many seconds to wait for the next one if there was none left."""
        self._left = min(self._number, self._left + (now - self._at) / self._seconds)
        self._at = now
        if self._left < 1:
            return math.ceil((1 - self._left) * self._seconds)
        self._left -= 1
        return 0


class WrongKeys:
    """Counts wrong API keys by address and altogether, and says who has sent too many.

    No key can be guessed, for each has 256 random bits. But somebody who tries costs work and
    hides what else is in the log.

    Args:
        now: The time in seconds, by any clock that does not jump.
    """

    PER_ADDRESS: Final = 100
    SECONDS_PER_ADDRESS: Final = 3.0
    ALTOGETHER: Final = 1_000
    SECONDS_ALTOGETHER: Final = 0.1
    ADDRESSES: Final = 10_000

    def __init__(self, now: float) -> None:
        self._all = _Allowance(self.ALTOGETHER, self.SECONDS_ALTOGETHER, now)
        self._by_address: OrderedDict[str, _Allowance] = OrderedDict()

    def count(self, address: str, now: float) -> int:
        """Count a wrong key; gives how many seconds its sender has to wait, or 0."""
        network = _network_of(address)
        own = self._by_address.pop(network, None) or _Allowance(
            self.PER_ADDRESS, self.SECONDS_PER_ADDRESS, now
        )
        self._by_address[network] = own
        if len(self._by_address) > self.ADDRESSES:
            self._by_address.popitem(last=False)  # the one that has been quiet for longest
        return own.take(now) or self._all.take(now)


def _network_of(address: str) -> str:
    """What one sender can have many of counts as one: an IPv6 network of 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:  # as of a Unix socket
        return ""
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else address


@frozen
class Invitation:
    """That somebody of a tenant may connect an account, said by whoever has the tenant's key.

    Attributes:
        domain_id: The tenant.
        account_id: The account that is to be connected again; None for any.
    """

    domain_id: str
    account_id: str | None = None


@frozen
class Arrival:
    """That a person has connected an account, for the page that tells them.

    Attributes:
        domain_id: The tenant.
        name: The account's.
        state: Digest of what HubSpot sent them back with, to know it again.
    """

    domain_id: str
    name: str
    state: str

    @classmethod
    def of(cls, domain_id: str, name: str, state: str) -> Arrival:
        """What is remembered of a callback that went well."""
        return cls(domain_id, name, _digest(state).hex())

    def came_with(self, state: str) -> bool:
        """Whether the callback with *state* is the one that went well."""
        return hmac.compare_digest(self.state.encode(), _digest(state).hex().encode())


_Value = TypeVar("_Value", Invitation, Arrival)


class _Seals(Generic[_Value]):
    """Makes texts that a browser can carry and nobody can read or alter; good for ten minutes.

    Args:
        encryption_keys: What theirs is derived from, the present one first.
    """

    _kind: type[_Value]
    _purpose: ClassVar[bytes]

    def __init__(self, encryption_keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(self._derived(key)) for key in encryption_keys])

    def seal(self, value: _Value) -> str:
        """The value as text for URLs and cookies."""
        return self._fernet.encrypt(json.dumps(astuple(value)).encode()).decode()

    def open(self, text: str) -> _Value | None:
        """What `seal` made of it, or None when it is out of date, altered or not ours."""
        lifetime = int(INVITATION_LIFETIME.total_seconds())
        try:
            content = self._fernet.decrypt(text.encode("utf-8", "surrogatepass"), ttl=lifetime)
        except InvalidToken:
            return None
        return self._kind(*json.loads(content))

    @classmethod
    def _derived(cls, encryption_key: str) -> bytes:
        """A key for this use alone: what is sealed as one thing cannot be opened as another."""
        derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=cls._purpose)
        return base64.urlsafe_b64encode(derivation.derive(encryption_key.encode()))


class Invitations(_Seals[Invitation]):
    """Seals invitations."""

    _kind = Invitation
    _purpose = b"fastapi_host invitation 1"


class Arrivals(_Seals[Arrival]):
    """Seals arrivals."""

    _kind = Arrival
    _purpose = b"fastapi_host arrival 1"
