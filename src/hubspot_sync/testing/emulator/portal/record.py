"""One record as the portal keeps it."""

from __future__ import annotations

import attrs

from hubspot_sync.testing.emulator.wire import to_iso


@attrs.define(slots=True, eq=False)
class Record:
    """One record; only the portal changes it.

    Attributes:
        number: Its id within its type.
        values: The properties that have a value; computed ones are not here.
        created: Milliseconds.
        modified: Milliseconds; grows with every change.
        archived: Milliseconds of its deletion, or None.
        created_text: The created date as HubSpot prints it; every page needs it.
        modified_text: The modified date likewise.
    """

    number: int
    values: dict[str, str]
    created: int
    modified: int
    archived: int | None = None
    created_text: str = attrs.field(
        init=False, default=attrs.Factory(lambda self: to_iso(self.created), takes_self=True)
    )
    modified_text: str = attrs.field(
        init=False, default=attrs.Factory(lambda self: to_iso(self.modified), takes_self=True)
    )
