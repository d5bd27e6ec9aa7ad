"""Object types by all their names: what the schemas of an account say about its custom types.

HubSpot knows a custom type by its name, its qualified name ("p62515_pets") and its id ("2-34"),
takes any of them in a path, and answers under whichever it likes:
https://developers.hubspot.com/docs/api-reference/crm-schemas-v3/guide
"""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotUnavailableError,
    MissingScopeError,
    RequestRefusedError,
)
from hubspot_sync.models import ObjectType
from hubspot_sync.models.object_types import (
    OBJECT_TYPE_IDS,
    is_api_name,
    is_custom,
    is_settled,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hubspot_sync._hubspot.calls.client import HubSpotClient
    from hubspot_sync._hubspot.records.properties import Cache
    from hubspot_sync.models import AccountKey, StreamSettings

_STANDARD: Final = {name: type_id for type_id, name in OBJECT_TYPE_IDS.items()}
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Schemas:
    """The custom types of an account.

    Attributes:
        types: All of them.
        refused: Why they are not known, or None.
    """

    types: tuple[ObjectType, ...] = ()
    refused: MissingScopeError | RequestRefusedError | None = None


class ObjectTypes:
    """What one account's object types are called.

    Args:
        account: The account.
        client: Calls HubSpot for it.
        path: Where the schemas are.
        association_path: Where associations are; it tells whether a type exists at all.
        cache: Remembers the schemas between runs.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        client: HubSpotClient,
        path: str,
        association_path: str,
        cache: Cache[Schemas],
    ) -> None:
        self._account = account
        self._client = client
        self._path = path
        self._association_path = association_path
        self._cache = cache
        self._accepted: set[tuple[str, str]] = set()

    def resolve(self, settings: StreamSettings) -> StreamSettings:
        """Return *settings* with each custom type under its id; see `Source.resolve`."""
        associations = [self.canonical(name) for name in settings.associations]
        return evolve(
            settings, object_type=self.canonical(settings.object_type), associations=associations
        )

    def canonical(self, name: str) -> str:
        """Return the name that is kept of the object type *name*: the id of a custom type.

        A type that no schema has may be one of HubSpot's own that is newer than this library, so
        its name stays, and HubSpot says whether it exists.

        Raises:
            ConfigurationError: There is no such type, or several have the label *name*.
            MissingScopeError: Only the schemas tell, and the credentials may not read them.
            RequestRefusedError: Only the schemas tell, and HubSpot refuses them.
        """
        if is_settled(name):
            return name
        found = self.custom(name)
        if found is not None:
            return found.id
        refused = self._schemas().refused
        if refused is not None:
            raise _unresolved(name, refused)
        if not is_api_name(name):
            raise ConfigurationError(
                f"the account has no object type {name!r}{self.suggestion(name)}; correct "
                "StreamSettings(...)"
            )
        return name

    def custom(self, name: str) -> ObjectType | None:
        """The custom type that is called *name*; None where none is known by that name.

        Raises:
            ConfigurationError: Several have the label *name*.
        """
        if is_settled(name) and not is_custom(name):
            return None
        asked, types = name.lower(), self._schemas().types
        for one in types:
            if asked in map(str.lower, _spellings(one)):
                return one
        labelled = [one for one in types if asked in map(str.lower, _labels(one))]
        if len(labelled) > 1:
            named = " and ".join(f"{one.name} ({one.id})" for one in labelled)
            raise ConfigurationError(
                f"{named} are both called {name!r}; give the id of the one that is meant"
            )
        return labelled[0] if labelled else None

    def all_custom(self) -> tuple[ObjectType, ...]:
        """All custom types; none where the schemas may not be read."""
        schemas = self._schemas()
        if schemas.refused is not None:
            _logger.warning(
                "%s: its custom object types are not known: %s", self._account, schemas.refused
            )
        return schemas.types

    def label(self, object_type: str) -> str | None:
        """What people call one object of a custom type, as far as that is known."""
        found = self.custom(object_type)
        return None if found is None else found.singular

    def spellings(self, object_type: str) -> tuple[str, ...]:
        """The names under which HubSpot may answer for *object_type*."""
        found = self.custom(object_type)
        if found is not None:
            return (object_type, *_spellings(found))
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
        known = {one: one for one in _STANDARD}
        for one in self._schemas().types:
            for spelling in (one.name, one.qualified_name, *_labels(one)):
                if spelling:
                    known.setdefault(spelling.lower(), spelling)
        close = get_close_matches(name.lower(), list(known), n=1)
        return f" (did you mean {known[close[0]]!r}?)" if close else ""

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

    def _schemas(self) -> Schemas:
        held = self._cache.get(self._account)
        if held is None:
            held = self._read()
            self._cache.put(self._account, held)
        return held

    def _read(self) -> Schemas:
        call = Call(
            endpoint="schemas", method="GET", path=self._path, doing="reading the custom types"
        )
        try:
            return Schemas(types=self._client.call(call, _custom_types).content)
        except (MissingScopeError, RequestRefusedError) as error:
            # What is configured by ids works without.
            _logger.info("%s: the custom object types are not known: %s", self._account, error)
            return Schemas(refused=error)


def _unresolved(
    name: str, refused: MissingScopeError | RequestRefusedError
) -> MissingScopeError | RequestRefusedError:
    message = (
        f"only the schemas of the account tell what object type {name!r} is, and HubSpot refuses "
        f"them: {refused.message}; or give the id of the type, such as '2-3465404'"
    )
    known = {"status": refused.status, "correlation_id": refused.correlation_id}
    if isinstance(refused, MissingScopeError):
        return MissingScopeError(message, scopes=refused.scopes, **known)
    return RequestRefusedError(message, category=refused.category, **known)


def _spellings(one: ObjectType) -> tuple[str, ...]:
    """All its names in HubSpot's API; "p_pets" stands for the account's own "p62515_pets"."""
    return (one.id, one.name, one.qualified_name or one.name, f"p_{one.name}")


def _labels(one: ObjectType) -> tuple[str, ...]:
    return tuple(label for label in (one.singular, one.plural) if label)


def _custom_types(body: Any) -> tuple[ObjectType, ...]:
    rows: Sequence[Any] = body["results"]
    if not isinstance(rows, list):
        raise HubSpotUnavailableError("HubSpot's answer holds no list of schemas")
    types = tuple(_custom_type(row) for row in rows)
    return tuple(one for one in types if is_custom(one.id))


def _custom_type(row: Any) -> ObjectType:
    labels = row.get("labels") or {}
    type_id, properties = str(row["objectTypeId"]), row.get("properties")
    return ObjectType(
        id=type_id,
        object_type=type_id,
        name=_text(row["name"]) or "",
        qualified_name=_text(row.get("fullyQualifiedName")) or str(row["name"]),
        singular=_text(labels.get("singular")),
        plural=_text(labels.get("plural")),
        properties=len(properties) if isinstance(properties, list) else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
