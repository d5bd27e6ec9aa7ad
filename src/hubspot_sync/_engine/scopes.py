"""Which streams the granted OAuth scopes let run.

Judged are only object types whose scopes are known for sure; of all others HubSpot itself says,
when they are read, which scope they need. Any one of a stream's scopes is enough.
https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hubspot_sync.models import StreamSettings

_ANY_OF: Final[dict[str, tuple[str, ...]]] = {
    "companies": ("crm.objects.companies.read",),
    "contacts": ("crm.objects.contacts.read",),
}


def missing_scopes(
    streams: Sequence[StreamSettings], granted: Collection[str]
) -> Mapping[str, Sequence[str]]:
    """The object types that cannot be read, each with the scopes of which any one would do.

    Args:
        streams: What is to be read.
        granted: What was granted; nothing at all means that it is not known.
    """
    if not granted:
        return {}
    needed = {stream.object_type: _ANY_OF.get(stream.object_type, ()) for stream in streams}
    return {
        object_type: scopes
        for object_type, scopes in needed.items()
        if scopes and not set(scopes) & set(granted)
    }


def in_words(missing: Mapping[str, Sequence[str]]) -> str:
    """What is missing, for people: one clause per object type."""
    return "; ".join(
        f"{object_type} cannot be read until {' or '.join(scopes)} is granted"
        for object_type, scopes in missing.items()
    )
