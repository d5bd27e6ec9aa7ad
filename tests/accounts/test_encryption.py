"""What is sealed opens with the right key and account only, and no key is ever shown."""

from __future__ import annotations

import base64
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync._encryption import CredentialKeys, NoCipher, NoEncryption, the_cipher, unsealed
from hubspot_sync.errors import ConfigurationError, InvariantError
from hubspot_sync.models import AccountKey

ACCOUNT = AccountKey("acme", "62515")
FIRST, SECOND = CredentialKeys.generate_key(), CredentialKeys.generate_key()
KEYS = CredentialKeys(FIRST)


@given(st.binary())
def test_what_is_sealed_opens(plaintext):
    """Any bytes come back; the same bytes never look the same twice."""
    first, second = KEYS.seal(ACCOUNT, plaintext), KEYS.seal(ACCOUNT, plaintext)

    assert plaintext == KEYS.open(ACCOUNT, first) == KEYS.open(ACCOUNT, second)
    assert first != second


def test_the_plaintext_is_not_in_what_is_sealed():
    """What is stored shows nothing of the secret."""
    assert b"refresh" not in KEYS.seal(ACCOUNT, b"refresh-refresh-refresh")


def test_a_generated_key_is_new_and_long_enough():
    """Each generated key has 32 random bytes."""
    keys = {CredentialKeys.generate_key() for _ in range(100)}

    assert len(keys) == 100
    assert {32} == {len(base64.urlsafe_b64decode(key)) for key in keys}


def test_older_keys_still_open():
    """After a change of keys the new one seals, and both open."""
    sealed = CredentialKeys(FIRST).seal(ACCOUNT, b"secret")
    changed = CredentialKeys(SECOND, FIRST)

    assert changed.open(ACCOUNT, sealed) == b"secret"
    assert CredentialKeys(SECOND).open(ACCOUNT, changed.seal(ACCOUNT, b"secret")) == b"secret"


def test_a_missing_key_is_named():
    """The error says which key is needed and which was given, by name and not by value."""
    sealed = CredentialKeys(FIRST).seal(ACCOUNT, b"secret")
    needed = repr(CredentialKeys(FIRST)).partition("(")[2].rstrip(")")
    given = repr(CredentialKeys(SECOND)).partition("(")[2].rstrip(")")

    with pytest.raises(ConfigurationError) as caught:
        CredentialKeys(SECOND).open(ACCOUNT, sealed)

    assert f"need the encryption key {needed}, given is {given}" in str(caught.value)
    assert caught.value.account == "acme/62515"
    assert FIRST not in str(caught.value)
    assert SECOND not in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [AccountKey("acme", "62516"), AccountKey("globex", "62515"), AccountKey("acme/6", "2515")],
)
def test_a_ciphertext_does_not_open_for_another_account(other):
    """What was copied from one account to another is refused."""
    sealed = KEYS.seal(ACCOUNT, b"secret")

    with pytest.raises(InvariantError, match="another account"):
        KEYS.open(other, sealed)


def test_a_changed_ciphertext_does_not_open():
    """Whatever byte is changed, or wherever it is cut, nothing comes out."""
    sealed = KEYS.seal(ACCOUNT, b"secret")
    changed = [sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :] for n in range(len(sealed))]
    cut = [sealed[:n] for n in range(len(sealed))]

    for ciphertext in [*changed, *cut, sealed + b"x"]:
        with pytest.raises((InvariantError, ConfigurationError)):
            KEYS.open(ACCOUNT, ciphertext)


@pytest.mark.parametrize(
    "key",
    ["", "short", FIRST[:-4], FIRST + "AAAA", "é" * 44, FIRST.encode(), None, "!" * 44],
    ids=["empty", "short", "cut", "longer", "accents", "bytes", "None", "no base64"],
)
def test_what_is_no_key_is_refused(key):
    """A wrong key is a configuration error that shows nothing of it."""
    with pytest.raises(ConfigurationError, match="generate_key") as caught:
        CredentialKeys(key)

    assert FIRST[:8] not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__context__ is None


def test_a_key_may_have_blanks_around_it():
    """A line end from a file or a shell does no harm."""
    sealed = CredentialKeys(f" {FIRST}\n").seal(ACCOUNT, b"secret")

    assert KEYS.open(ACCOUNT, sealed) == b"secret"


def test_keys_are_in_no_repr():
    """Neither repr nor str shows a key, only its name."""
    keys = CredentialKeys(FIRST, SECOND)

    assert FIRST not in repr(keys) + str(keys)
    assert SECOND not in repr(keys) + str(keys)
    assert repr(keys).startswith("CredentialKeys(")


def test_plain_text_is_itself():
    """`NoEncryption` stores in clear, and gives back what it stored."""
    stored = NoEncryption().seal(ACCOUNT, b"secret")

    assert b"secret" in stored
    assert NoEncryption().open(ACCOUNT, stored) == b"secret"


def test_the_two_ciphers_know_each_other():
    """Each says that the other one is needed, instead of giving out nonsense."""
    with pytest.raises(ConfigurationError, match="not encrypted by CredentialKeys"):
        KEYS.open(ACCOUNT, NoEncryption().seal(ACCOUNT, b"secret"))
    with pytest.raises(ConfigurationError, match="give CredentialKeys instead"):
        NoEncryption().open(ACCOUNT, KEYS.seal(ACCOUNT, b"secret"))


@pytest.mark.parametrize("sealed", [None, "", "text", 7, b"", [b"x"], {"a": 1}])
def test_what_is_no_ciphertext(sealed):
    """A stored value that somebody edited is an error of ours, whatever the cipher."""
    for cipher in (KEYS, NoEncryption(), NoCipher()):
        with pytest.raises(InvariantError, match="were damaged") as caught:
            unsealed(cipher, ACCOUNT, sealed)
        assert caught.value.account == "acme/62515"


def test_what_was_cut_off_is_damaged():
    """It is not taken for the work of another key or another cipher."""
    for keys in (KEYS, CredentialKeys(Provider())):
        sealed = keys.seal(ACCOUNT, b"secret")
        for length in range(1, len(sealed)):
            with pytest.raises(InvariantError, match="were damaged"):
                keys.open(ACCOUNT, sealed[:length])


@pytest.mark.parametrize("given", ["key", b"key", None, 7, CredentialKeys, object()])
def test_what_is_no_cipher(given):
    """It is refused by what it is, and never shown, as it may be a key."""
    with pytest.raises(ConfigurationError, match=r"cipher is .*; give CredentialKeys\(") as caught:
        the_cipher(given)

    assert "key'" not in str(caught.value)


class Provider:
    """A provider of one key."""

    def primary(self):
        """Its name."""
        return "first"

    def key(self, name):
        """Its content."""
        return FIRST if name == "first" else None
