"""Credentials sealed with AES-256-GCM, and keys that can be changed without an outage.

What is sealed for one account opens for that account only.
Layout: a version byte, 8 bytes that name the key, 12 bytes of nonce, the ciphertext with its tag.
The version byte of what was stored in clear is 0, so neither cipher takes the other's for its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hubspot_sync.errors import ConfigurationError, InvariantError

if TYPE_CHECKING:
    from hubspot_sync.models import AccountKey

_CLEAR: Final = b"\x00"
_AES_256_GCM: Final = b"\x01"
_NAME_SIZE: Final = 8
_NONCE_SIZE: Final = 12
_KEY_SIZE: Final = 32


class CredentialCipher(Protocol):
    """Seals credentials before a `TokenStore` writes them; a KMS is plugged in here."""

    def seal(self, account: AccountKey, plaintext: bytes) -> bytes:
        """Give what may be stored for *account*."""

    def open(self, account: AccountKey, ciphertext: bytes) -> bytes:
        """Give back what was sealed for *account*.

        Raises:
            ConfigurationError: No key at hand opens it.
            InvariantError: It was changed, or sealed for another account.
        """


class EncryptionKeys:
    """AES-256-GCM with a primary key that seals, and older ones that still open.

    To change keys, put the new one first and keep the old one behind it until every account's
    credentials were saved again.

    Args:
        primary: A key as `generate_key` gives it: 32 bytes in URL-safe base64.
        older: Earlier keys, in any order.

    Raises:
        ConfigurationError: One of them is not such a key.
    """

    def __init__(self, primary: str, *older: str) -> None:
        self._primary = _Key(primary)
        self._by_name = {key.name: key for key in map(_Key, older)}
        self._by_name[self._primary.name] = self._primary

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(name.hex() for name in self._by_name)})"

    @staticmethod
    def generate_key() -> str:
        """A new random key, as text; keep it where you keep passwords."""
        return base64.urlsafe_b64encode(os.urandom(_KEY_SIZE)).decode("ascii")

    def seal(self, account: AccountKey, plaintext: bytes) -> bytes:
        """Encrypt *plaintext* for *account* under the primary key."""
        header = _AES_256_GCM + self._primary.name
        nonce = os.urandom(_NONCE_SIZE)
        sealed = self._primary.cipher.encrypt(nonce, plaintext, _bound(header, account))
        return header + nonce + sealed

    def open(self, account: AccountKey, ciphertext: bytes) -> bytes:
        """Decrypt what was sealed for *account* under any of the keys.

        Raises:
            ConfigurationError: It needs another key, or was not encrypted by this class.
            InvariantError: It was changed, or sealed for another account.
        """
        header, rest = ciphertext[: 1 + _NAME_SIZE], ciphertext[1 + _NAME_SIZE :]
        key = self._key(account, header)
        try:
            return key.cipher.decrypt(
                rest[:_NONCE_SIZE], rest[_NONCE_SIZE:], _bound(header, account)
            )
        except (InvalidTag, ValueError) as error:
            raise InvariantError(
                "the stored credentials were damaged, or belong to another account; save them anew",
                account=str(account),
            ) from error

    def _key(self, account: AccountKey, header: bytes) -> _Key:
        if header[:1] != _AES_256_GCM:
            raise ConfigurationError(
                "the stored credentials were not encrypted by EncryptionKeys; open them with the "
                "cipher that sealed them, or save them anew",
                account=str(account),
            )
        key = self._by_name.get(header[1:])
        if key is None:
            at_hand = ", ".join(name.hex() for name in self._by_name)
            raise ConfigurationError(
                f"the stored credentials need the encryption key {header[1:].hex()}, at hand is "
                f"{at_hand}; add the key that they were saved with, or save them anew",
                account=str(account),
            )
        return key


class PlainText:
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
                "the stored credentials are encrypted; give EncryptionKeys instead of PlainText",
                account=str(account),
            )
        return ciphertext[1:]


class _Key:
    """One key, and the name under which ciphertexts ask for it."""

    def __init__(self, text: str) -> None:
        content = _decoded(text)
        self.cipher = AESGCM(content)
        self.name = hashlib.sha256(b"hubspot-sync key name\x00" + content).digest()[:_NAME_SIZE]


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
            "EncryptionKeys.generate_key()"
        )
    return content


def _bound(header: bytes, account: AccountKey) -> bytes:
    """What the ciphertext is bound to: its own header and the account.

    An account id has no slash, so two accounts never give the same.
    """
    return header + str(account).encode()
