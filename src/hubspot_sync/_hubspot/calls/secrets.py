"""Secrets on their way into a call, and what is done so that no word about it shows one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN: Final = "[hidden]"


@frozen(repr=False)
class Secret:
    """Text that shows nowhere, also not among the local variables of a traceback."""

    _text: str = field()

    def reveal(self) -> str:
        """The text itself, to be sent; keep it in no variable of a function that may raise."""
        return self._text

    def __str__(self) -> str:
        return HIDDEN

    __repr__ = __str__


class Mask:
    """Takes secrets out of words, in any spelling that an answer may give them.

    These are JSON's and a URL's escapes, once or several times, and HTML's.

    Args:
        secrets: What to hide.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = ["".join(map(_spellings, secret)) for secret in secrets if secret]
        # Longest first: one secret may begin with another.
        spellings.sort(key=len, reverse=True)
        self._pattern = re.compile("|".join(spellings) or r"(?!)", re.IGNORECASE)
        self._bytes = re.compile(self._pattern.pattern.encode(), re.IGNORECASE)

    def words(self, text: str) -> str:
        """*text* without the secrets."""
        return self._pattern.sub(HIDDEN, text)

    def content(self, content: bytes) -> bytes:
        """*content* without the secrets."""
        return self._bytes.sub(HIDDEN.encode(), content)


def _spellings(character: str) -> str:
    """A pattern for every way to write *character*; bounded, so that it is fast on any text."""
    code = ord(character)
    return (
        rf"(?:\\{{0,8}}{re.escape(character)}|\\{{1,8}}u{code:04x}|%(?:25){{0,4}}{code:02x}"
        rf"|&#(?:x0{{0,6}}{code:x}|0{{0,6}}{code});)"
    )
