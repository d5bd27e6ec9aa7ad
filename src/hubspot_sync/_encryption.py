"""Credentials sealed with AES-256-GCM, and keys that can be changed without an outage.

What is sealed for one account opens for that account only.
Layout: a version byte, the name of the key, 12 bytes of nonce, the ciphertext with its tag.
In version 1 the name is 8 bytes that come from the key, in version 2 it is the key provider's, with
a byte before it that says how long it is.
The version byte of what was stored in clear is 0, so neither cipher takes the other's for its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Final, Protocol, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hubspot_sync.errors import ConfigurationError, InvariantError
from hubspot_sync.interfaces._answers import KEY_PROVIDER, guarded
from hubspot_sync.interfaces._parts import is_cipher
from hubspot_sync.models import AccountKey
from hubspot_sync.models._checks import kind_of

_CLEAR: Final = b"\x00"
_GIVEN: Final = b"\x01"
_PROVIDED: Final = b"\x02"
_NAME_SIZE: Final = 8
_LONGEST_NAME: Final = 255
_NONCE_SIZE: Final = 12
_KEY_SIZE: Final = 32


class CredentialCipher(Protocol):
    """Seals credentials before a `TokenStore` writes them; a KMS is plugged in here."""

    def seal(self, account: AccountKey, plaintext: bytes) -> bytes:
        """Give what may be stored for *account*."""

    def open(self, account: AccountKey, ciphertext: bytes) -> bytes:
        """Give back what was sealed for *account*.

        Raises:
            ConfigurationError: None of the keys opens it.
            InvariantError: It was changed, or sealed for another account.
        """


def unsealed(cipher: CredentialCipher, account: AccountKey, sealed: object) -> bytes:
    """What a token store holds for *account*, opened.

    Raises:
        ConfigurationError: None of the keys opens it.
        InvariantError: It is no bytes, was changed, or sealed for another account.
    """
    if not isinstance(sealed, bytes) or not sealed:
        raise _damaged(account)
    return cipher.open(account, sealed)


def the_cipher(given: CredentialCipher) -> CredentialCipher:
    """What a token store was given, if it can be a cipher; never shown, as it may be a key.

    Raises:
        ConfigurationError: It is something else.
    """
    able = callable(getattr(given, "seal", None)) and callable(getattr(given, "open", None))
    if not able or isinstance(given, type):
        raise ConfigurationError(
            f"cipher is {kind_of(given)}; give CredentialKeys(key), with a key as "
            "CredentialKeys.generate_key() makes them, an object with `seal` and `open`, or "
            "NoEncryption() to store credentials in clear"
        )
    is_cipher.of("cipher", given)
    return given


class KeyProvider(Protocol):
    """Gives encryption keys by name, such as from a KMS; a key never changes under its name."""

    def primary(self) -> str:
        """The name of the key that seals from now on; asked for at each save.

        1 to 255 bytes in UTF-8. It is stored in clear, and stands in error messages.

        Raises:
            StoreUnavailableError: The service is away.
        """

    def key(self, name: str) -> str | None:
        """The key of this name, as `CredentialKeys.generate_key` makes them; asked for once.

        - Absent: None.

        Raises:
            StoreUnavailableError: The service is away.
        """


class CredentialKeys:
    """AES-256-GCM with a primary key that seals, and older ones that still open.

    To change keys, put the new one first, keep the old one behind it, and leave it out when
    `SyncEngine.reencrypt` has sealed everything again. A key provider changes its primary key.

    Args:
        primary: A key as `generate_key` gives it, 32 bytes in URL-safe base64; or a provider.
        older: Earlier keys and providers, in any order.

    Raises:
        ConfigurationError: One of them is not such a key.
    """

    def __init__(self, primary: str | KeyProvider, *older: str | KeyProvider) -> None:
        rings = [_ring(one) for one in (primary, *older)]
        self._primary, self._rings = rings[0], tuple(rings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self._rings))})"

    @staticmethod
    def generate_key() -> str:
        """A new random key, as text; keep it where you keep passwords."""
        return base64.urlsafe_b64encode(os.urandom(_KEY_SIZE)).decode("ascii")

    def seal(self, account: AccountKey, plaintext: bytes) -> bytes:
        """Encrypt *plaintext* for *account* under the primary key.

        Raises:
            ConfigurationError: The key provider has no such key as it names.
        """
        header, cipher = self._primary.sealing()
        nonce = os.urandom(_NONCE_SIZE)
        return header + nonce + cipher.encrypt(nonce, plaintext, _bound(header, account))

    def open(self, account: AccountKey, ciphertext: bytes) -> bytes:
        """Decrypt what was sealed for *account* under any of the keys.

        Raises:
            ConfigurationError: It needs another key, or was not encrypted by this class.
            InvariantError: It was changed, or sealed for another account.
        """
        header = _header_of(account, ciphertext)
        rest = ciphertext[len(header) :]
        found = next((cipher for ring in self._rings if (cipher := ring.opening(header))), None)
        if found is None:
            raise ConfigurationError(
                f"the stored credentials need the encryption key {_name_in(header)}, given is "
                f"{', '.join(map(str, self._rings))}; add the key that they were saved with, or "
                "connect the account again",
                account=str(account),
            )
        try:
            return found.decrypt(rest[:_NONCE_SIZE], rest[_NONCE_SIZE:], _bound(header, account))
        except (InvalidTag, ValueError) as error:
            raise _damaged(account) from error


class NoEncryption:
    """Stores credentials in clear: for tests, or where the storage itself is encrypted."""

    def seal(self, account: AccountKey, plaintext: bytes) -> bytes:  # noqa: ARG002 - the interface
        """Give *plaintext* itself, marked as being in clear."""
        return _CLEAR + plaintext

    def open(self, account: AccountKey, ciphertext: bytes) -> bytes:
        """Give back what was stored in clear.

        Raises:
            ConfigurationError: It was encrypted.
        """
        if ciphertext[:1] != _CLEAR:
            raise ConfigurationError(
                "the stored credentials are encrypted; give CredentialKeys instead of NoEncryption",
                account=str(account),
            )
        return ciphertext[1:]


class NoCipher:
    """For an engine without a cipher: says so where credentials were stored with one."""

    def seal(self, account: AccountKey, plaintext: bytes) -> bytes:  # noqa: ARG002 - the interface
        """Refuse it, always.

        Raises:
            ConfigurationError: There is no cipher.
        """
        raise ConfigurationError(
            "there is no cipher to store credentials with; give one, such as CredentialKeys(key)",
            account=str(account),
        )

    def open(self, account: AccountKey, ciphertext: bytes) -> bytes:
        """Refuse it, always.

        Raises:
            ConfigurationError: There is no cipher.
        """
        how, give = ("encrypted", "CredentialKeys(key) with the key that they were saved with")
        if ciphertext[:1] == _CLEAR:
            how, give = ("in clear", "NoEncryption()")
        raise ConfigurationError(
            f"credentials of account {account} are stored {how}, and this engine was given no "
            f"cipher; give cipher={give}, or connect the account again",
            account=str(account),
        )


class _Given:
    """A key that the host gave, which names itself."""

    def __init__(self, text: str) -> None:
        content = _decoded(text)
        name = hashlib.sha256(b"hubspot-sync key name\x00" + content).digest()[:_NAME_SIZE]
        self._header, self._cipher = _GIVEN + name, AESGCM(content)

    def __str__(self) -> str:
        return _name_in(self._header)

    def sealing(self) -> tuple[bytes, AESGCM]:
        return self._header, self._cipher

    def opening(self, header: bytes) -> AESGCM | None:
        return self._cipher if header == self._header else None


class _Provided:
    """The keys of a provider, each asked for once."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = guarded(provider, KEY_PROVIDER)
        self._ciphers: dict[bytes, AESGCM] = {}

    def __str__(self) -> str:
        return f"what {self._provider.__class__.__name__} has"

    def sealing(self) -> tuple[bytes, AESGCM]:
        name = self._provider.primary()
        content = name.encode()
        if not 1 <= len(content) <= _LONGEST_NAME:
            raise ConfigurationError(
                f"the key provider names a key {name!r}; give 1 to {_LONGEST_NAME} bytes of text"
            )
        header = _PROVIDED + bytes([len(content)]) + content
        cipher = self.opening(header)
        if cipher is None:
            raise ConfigurationError(
                f"the key provider has no key {name!r}, which it names as its primary one"
            )
        return header, cipher

    def opening(self, header: bytes) -> AESGCM | None:
        if header not in self._ciphers and header[:1] == _PROVIDED:
            text = self._provider.key(_name_in(header))
            if text is not None:
                self._ciphers[header] = AESGCM(_decoded(text))
        return self._ciphers.get(header)


def _ring(given: str | KeyProvider) -> _Given | _Provided:
    if not isinstance(given, str) and hasattr(given, "primary"):
        return _Provided(given)
    return _Given(cast("str", given))  # what is no text is refused there, without being shown


def _header_of(account: AccountKey, ciphertext: bytes) -> bytes:
    """The part of *ciphertext* that says how it was sealed."""
    kind = ciphertext[:1]
    if kind == _CLEAR:
        raise ConfigurationError(
            "the stored credentials were not encrypted by CredentialKeys, but stored in clear; "
            "open them with NoEncryption(), or connect the account again with CredentialKeys",
            account=str(account),
        )
    if kind not in (_GIVEN, _PROVIDED):
        raise ConfigurationError(
            "the stored credentials were not encrypted by CredentialKeys; open them with the "
            "cipher that sealed them, or connect the account again",
            account=str(account),
        )
    # The length of a provider's name follows the kind; one that is cut off there is short anyway.
    size = 1 + _NAME_SIZE if kind == _GIVEN else 2 + sum(ciphertext[1:2])
    if len(ciphertext) < size + _NONCE_SIZE:
        raise _damaged(account)
    return ciphertext[:size]


def _damaged(account: AccountKey) -> InvariantError:
    return InvariantError(
        "the stored credentials were damaged, or belong to another account; connect the account "
        "again",
        account=str(account),
    )


def _name_in(header: bytes) -> str:
    return header[1:].hex() if header[:1] == _GIVEN else header[2:].decode("utf-8", "replace")


def _decoded(text: str) -> bytes:
    content = None
    if isinstance(text, str):
        try:
            content = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            content = None
    # Outside the handler and without the value: it may be most of a key.
    if content is None or len(content) != _KEY_SIZE:
        raise ConfigurationError(
            "an encryption key is not 32 bytes in URL-safe base64; make one with "
            "CredentialKeys.generate_key()"
        )
    return content


def _bound(header: bytes, account: AccountKey) -> bytes:
    """What the ciphertext is bound to: its own header and the account.

    An account id has no slash, so two accounts never give the same.
    """
    return header + str(account).encode()
