"""Object types by all their names: what the schemas of an account say about its custom types.

HubSpot knows a custom type by its name, its qualified name ("p62515_pets") and its id ("2-34"),
takes any of them in a path, and answers under whichever it likes:
https://developers.hubspot.com/docs/api-reference/crm-schemas-v3/guide
"""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotUnavailableError,
    MissingScopeError,
    RequestRefusedError,
)
from hubspot_sync.models.object_types import OBJECT_TYPE_IDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hubspot_sync._hubspot.calls.client import HubSpotClient
    from hubspot_sync._hubspot.records.properties import Cache
    from hubspot_sync.models import AccountKey

_STANDARD: Final = {name: type_id for type_id, name in OBJECT_TYPE_IDS.items()}
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class CustomType:
    """A custom object type.

    Attributes:
        type_id: HubSpot's id of it, such as "2-3465404".
        name: Its name, such as "pets".
        qualified_name: The name that no other account's type has, such as "p62515_pets".
        singular: What people call one of its objects, or None.
        plural: What people call several, or None.
    """

    type_id: str
    name: str
    qualified_name: str
    singular: str | None = None
    plural: str | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """All its names; "p_pets" stands for the account's own "p62515_pets"."""
        return (self.type_id, self.name, self.qualified_name, f"p_{self.name}")


class ObjectTypes:
    """What one account's object types are called.

    Args:
        account: The account.
        client: Calls HubSpot for it.
        path: Where the schemas are.
        association_path: Where associations are; it tells whether a type exists at all.
        cache: Remembers the custom types between runs.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        client: HubSpotClient,
        path: str,
        association_path: str,
        cache: Cache[tuple[CustomType, ...]],
    ) -> None:
        self._account = account
        self._client = client
        self._path = path
        self._association_path = association_path
        self._cache = cache
        self._accepted: set[tuple[str, str]] = set()

    def custom(self, object_type: str) -> CustomType | None:
        """The custom type that is called *object_type*; None where none is known by that name."""
        if object_type in _STANDARD:
            return None
        asked = object_type.lower()
        for one in self._custom():
            if asked in map(str.lower, one.spellings):
                return one
        return None

    def label(self, object_type: str) -> str | None:
        """What people call one object of a custom type, as far as that is known."""
        found = self.custom(object_type)
        return None if found is None else found.singular

    def spellings(self, object_type: str) -> tuple[str, ...]:
        """The names under which HubSpot may answer for *object_type*."""
        found = self.custom(object_type)
        if found is not None:
            return (object_type, *found.spellings)
        type_id = _STANDARD.get(object_type)
        return (object_type,) if type_id is None else (object_type, type_id)

    def check_associations(self, object_type: str, others: Iterable[str]) -> None:
        """See that *others* exist, of which a list and its rows would say nothing.

        Raises:
            ConfigurationError: HubSpot knows no such object type.
        """
        for other in others:
            pair = object_type, other
            if other in _STANDARD or pair in self._accepted:
                continue
            if self.custom(other) is None and not self._accepts(*pair):
                raise ConfigurationError(
                    f"HubSpot knows no object type {other!r} that {object_type} could be "
                    f"associated with{self.suggestion(other)}; correct "
                    "StreamSettings(associations=...)",
                    stream=object_type,
                )
            self._accepted.add(pair)

    def suggestion(self, name: str) -> str:
        """What *name* may be meant to be, to be put behind it; "" where nothing is near."""
        known = {**dict.fromkeys(_STANDARD)}
        for one in self._custom():
            known.update(dict.fromkeys((one.name, one.qualified_name)))
        close = get_close_matches(name.lower(), list(known), n=1)
        return f" (did you mean {close[0]!r}?)" if close else ""

    def _accepts(self, object_type: str, other: str) -> bool:
        """Whether HubSpot takes *other* for an object type: nobody has the id that is asked for."""
        try:
            self._client.call(
                Call(
                    endpoint="associations",
                    method="POST",
                    path=self._association_path,
                    path_params={"object_type": object_type, "to_object_type": other},
                    body={"inputs": [{"id": "0"}]},
                    doing=f"asking whether there are {other}",
                ),
                lambda body: body,
            )
        except RequestRefusedError as error:
            _logger.info("%s: %s", self._account, error)
            return False
        return True

    def _custom(self) -> tuple[CustomType, ...]:
        held = self._cache.get(self._account)
        if held is None:
            held = self._read()
            self._cache.put(self._account, held)
        return held

    def _read(self) -> tuple[CustomType, ...]:
        call = Call(
            endpoint="schemas", method="GET", path=self._path, doing="reading the custom types"
        )
        try:
            return self._client.call(call, _custom_types).content
        except (MissingScopeError, RequestRefusedError) as error:
            # Without the scope, names are taken as they were given.
            _logger.info("%s: the custom object types are not known: %s", self._account, error)
            return ()


def _custom_types(body: Any) -> tuple[CustomType, ...]:
    rows: Sequence[Any] = body["results"]
    if not isinstance(rows, list):
        raise HubSpotUnavailableError("HubSpot's answer holds no list of schemas")
    return tuple(_custom_type(row) for row in rows)


def _custom_type(row: Any) -> CustomType:
    labels = row.get("labels") or {}
    return CustomType(
        type_id=_text(row["objectTypeId"]) or "",
        name=_text(row["name"]) or "",
        qualified_name=_text(row.get("fullyQualifiedName")) or str(row["name"]),
        singular=_text(labels.get("singular")),
        plural=_text(labels.get("plural")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
