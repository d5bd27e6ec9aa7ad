"""How a command line names an SQLite file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_MEMORY: Final = ":memory:"


def sqlite_path(url: str) -> Path | None:
    """The file that a URL means, as the library's commands take it, or None if it means none.

    With four slashes the path is absolute: `sqlite:////var/lib/crm.db`. With three it is, too,
    where its folder exists (the root folder apart); otherwise, and where it begins with a dot for a
    folder, it is relative to the current one: `sqlite:///crm.db`, `sqlite:///../crm.db`. Signs
    that a URL does not take are percent-encoded. `:memory:` means none, because all that a command
    did would be gone at its end, and so does what has a query or fragment, which nobody would obey.

    Args:
        url: What was given; not necessarily a URL at all.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # as of http://[
        return None
    more = parts.netloc or parts.query or parts.fragment
    if parts.scheme != "sqlite" or more or not re.match("/.", parts.path):
        return None
    path = Path(unquote(parts.path))
    folder = path.parent
    if parts.path.startswith("//"):
        return Path("/", *path.parts[1:])
    if path.name == _MEMORY:
        return None
    relative = parts.path.startswith(("/./", "/../")) or folder == folder.parent
    # Not by the folder itself, which raises where the system does not let it be looked at.
    exists = os.path.isdir(folder)  # noqa: PTH112
    return path if exists and not relative else path.relative_to("/")
