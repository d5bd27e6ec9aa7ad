"""Looks for secrets where none may be: in text, in databases, in all that the library made."""

from __future__ import annotations

import base64
import gc
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pymongo import MongoClient

# Shorter parts of a base64 text would be found by chance.
_SHORTEST = 12


class Canaries:
    """Secrets to look for, in every form in which they are likely to leak.

    Args:
        secrets: What each is called, and its text.
    """

    def __init__(self, **secrets: str) -> None:
        self._forms: dict[bytes, str] = {}
        for name, secret in secrets.items():
            self.add(name, secret)

    def add(self, name: str, secret: str) -> None:
        """Look for another one, from now on."""
        content = secret.encode()
        assert len(content) >= _SHORTEST, "too short to be told from chance"
        forms = [content, content.hex().encode(), quote(secret, safe="").encode()]
        for offset in range(3):
            whole = base64.b64encode(b"\0" * offset + content)
            # The first and the last characters depend on what stands beside it.
            forms += [part := whole[4 if offset else 0 : -4], part.translate(_URL_SAFE)]
        self._forms |= dict.fromkeys(forms, name)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Look for these bytes as they are, too, such as something packed."""
        assert len(content) >= _SHORTEST, "too short to be told from chance"
        self._forms[content] = name

    def in_bytes(self, content: bytes) -> set[str]:
        """The names of those that are in *content*."""
        return {name for form, name in self._forms.items() if form in content}

    def in_text(self, *texts: str) -> set[str]:
        """The names of those that are in any of *texts*."""
        return self.in_bytes("\n".join(texts).encode("utf-8", "surrogatepass"))

    def in_errors(self, errors: Iterable[BaseException]) -> set[str]:
        """In their messages, attributes and tracebacks, and in those that they come from."""
        texts = []
        for error in errors:
            texts += traceback.format_exception(error)
            texts += [repr(error), repr(vars(error)), repr(error.args)]
        return self.in_text(*texts)

    def in_logs(self, entries: Iterable[logging.LogRecord]) -> set[str]:
        """In what would be written, and in what it is made of."""
        texts = []
        for entry in entries:
            texts += [entry.getMessage(), repr(entry.args), repr(vars(entry))]
        return self.in_text(*texts)

    def in_objects(self) -> set[str]:
        """In what any object of the library's that is alive shows of itself."""
        texts = []
        for one in _objects():
            # What was refused while it was made shows nothing, nor does too large an integer.
            with suppress(AttributeError, ValueError):
                texts += [repr(one), str(one)]
        return self.in_text(*texts)

    def in_folder(self, folder: Path) -> set[str]:
        """In any byte of any file below *folder*."""
        files = [path for path in folder.rglob("*") if path.is_file()]
        return set().union(*(self.in_bytes(path.read_bytes()) for path in files))

    def in_mongodb(self, client: MongoClient[Any], *databases: str) -> set[str]:
        """In any document, as the server stores it."""
        found = set()
        for database in databases:
            for name in client[database].list_collection_names():
                for batch in client[database][name].find_raw_batches():
                    found |= self.in_bytes(batch)
        return found


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _objects() -> Iterator[Any]:
    for one in list(gc.get_objects()):
        module = getattr(type(one), "__module__", None) or ""
        own = isinstance(module, str) and module.startswith("hubspot_sync")
        # The emulator is HubSpot, which knows the secrets.
        if own and not module.startswith("hubspot_sync.testing"):
            yield one
