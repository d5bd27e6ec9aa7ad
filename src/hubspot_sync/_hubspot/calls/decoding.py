"""Decodes HubSpot's JSON once, fast, and without losing a page to one bad value."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

# An escape of half a surrogate pair, told from whole pairs and from other escapes.
_SURROGATES: Final = re.compile(
    r"\\(?:u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_MARKS: Final = re.compile(r'\\.|["\[\]{}]', re.DOTALL)
# What is deeper cannot be encoded again, and nothing of HubSpot's is a tenth as deep.
_DEEPEST: Final = 250
# Python reads it, orjson and JSON know no such thing.
_CUT: Final = "-Infinity"


class TooDeep:
    """Stands for a value that is nested too deeply to be read; nothing can be made of it."""


TOO_DEEP: Final = TooDeep()


def loads(content: bytes) -> Any:
    """Decode *content*.

    Half a surrogate pair, which no store can keep, becomes U+FFFD, and so do bytes that are no
    UTF-8. A value that is nested too deeply becomes `TOO_DEEP`, whatever is beside it stays.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(content)
    except ValueError:
        text = _shallow(_without_halves(content.decode("utf-8", "replace")))
    try:
        return json.loads(text, parse_constant=_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_halves(text: str) -> str:
    """*text* with each escape of half a surrogate pair replaced."""
    return _SURROGATES.sub(lambda found: r"\ufffd" if found[1] else found[0], text)


def _shallow(text: str) -> str:
    """*text* with what is nested too deeply cut out; without recursion, which is what it saves."""
    kept: list[str] = []
    start = depth = 0
    in_string = False
    for found in _MARKS.finditer(text):
        mark = found[0]
        if mark == '"':
            in_string = not in_string
        elif in_string or len(mark) > 1:
            continue
        elif mark in "[{":
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(text[start : found.start()])
        else:
            if depth == _DEEPEST + 1:
                kept.append(_CUT)
                start = found.end()
            depth -= 1
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply, and ends before it closes")
    return "".join([*kept, text[start:]])


def _constant(name: str) -> Any:
    return TOO_DEEP if name == _CUT else float(name)
