"""Decodes HubSpot's JSON once, fast, and without losing a page to one bad character."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def loads(content: bytes) -> Any:
    """Decode *content*; half a surrogate pair, which no store can keep, becomes U+FFFD.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(content)
    except ValueError:
        # orjson refuses lone surrogates and bytes that are no UTF-8; a record may hold both.
        return _storable(json.loads(content.decode("utf-8", "replace")))


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
