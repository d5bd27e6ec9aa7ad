"""What the host is told: actions, and the answer of the sink that stores them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from attrs import field, frozen

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._checks import from_milliseconds, is_list, kind_of
from hubspot_sync.models.object_types import singular_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hubspot_sync.models.accounts import AccountKey
    from hubspot_sync.models.records import Association, Value


class ActionKind(Enum):
    """What happened to an object."""

    CREATED = "Created"
    UPDATED = "Updated"


@frozen(kw_only=True)
class Action:
    """One change for the host.

    Attributes:
        account: The account it belongs to.
        object_type: Canonical name of the object type ("contacts").
        object_id: HubSpot's id of the object, digits as text.
        kind: What happened.
        version: The record's modified time in milliseconds since 1970.
        occurred_at: When it happened in HubSpot: the create date for a creation, the modified
            date for an update, and where that did not move, the time at which a reconcile pass
            looked; aware, to the millisecond.
        properties: All values that were read, by property name; None where there is no value.
        associations: Associated records by object type: an empty tuple where there are none, no
            key where they were not asked for.
        variant: 0, unless a version was delivered before and a reconcile pass found other values
            or associations in it: then the pass's end in milliseconds since 1970. Of one version
            the highest variant is the newest.
        label: What people call one object of a custom type ("Pet"); None for HubSpot's own types,
            and where HubSpot does not say.
    """

    account: AccountKey
    object_type: str
    object_id: str
    kind: ActionKind
    version: int
    occurred_at: datetime
    properties: Mapping[str, Value]
    associations: Mapping[str, tuple[Association, ...]] = field(factory=dict)
    variant: int = 0
    label: str | None = None

    @property
    def action_id(self) -> str:
        """The same for the same version and variant of the same object, whatever the kind.

        All parts but the domain are free of colons, so two objects never share an id.
        """
        account = self.account
        action_id = (
            f"{account.domain_id}:{account.account_id}:{self.object_type}"
            f":{self.object_id}:{self.version}"
        )
        return f"{action_id}.{self.variant}" if self.variant else action_id

    @property
    def name(self) -> str:
        """What happened, for people: "Contact Created"."""
        return f"{self.label or singular_name(self.object_type)} {self.kind.value}"

    @property
    def modified_at(self) -> datetime:
        """The object's modified date in HubSpot, aware, to the millisecond."""
        return from_milliseconds(self.version)


def _ids(values: Iterable[str]) -> frozenset[str]:
    if not is_list(values):
        raise ConfigurationError(
            f"a SinkAnswer takes ids of actions in a set, not {kind_of(values)}"
        )
    given = tuple(values)
    for one in given:
        if not isinstance(one, str):
            raise ConfigurationError(
                f"a SinkAnswer takes ids of actions, as text, not {kind_of(one)}"
            )
    return frozenset(given)


def _are_reasons(_instance: object, _attribute: object, refused: Mapping[str, str]) -> None:
    if not isinstance(refused, Mapping) or not all(
        isinstance(action_id, str) and isinstance(reason, str)
        for action_id, reason in refused.items()
    ):
        raise ConfigurationError(
            "SinkAnswer.refused takes reasons, as text, by the ids of the actions"
        )


@frozen(kw_only=True)
class SinkAnswer:
    """What a sink did with a batch; an action that is named nowhere here was accepted.

    Attributes:
        repeated: Ids of actions of the batch that the sink held already; nothing was stored again.
        already_created: Ids of creations not stored because the sink holds a creation of the
            same object with another version; the engine sends them again as updates.
        refused: Reasons by id of the actions that the sink can never take as they are.
        partly_repeated: Ids of actions that were accepted although a part of the sink held them
            already, and may have them with other values; for a sink that feeds several. It says
            nothing about what became of them, so it makes no two answers different.

    Raises:
        ConfigurationError: It is made of something else.
    """

    repeated: frozenset[str] = field(default=frozenset(), converter=_ids)
    already_created: frozenset[str] = field(default=frozenset(), converter=_ids)
    refused: Mapping[str, str] = field(factory=dict, validator=_are_reasons)
    partly_repeated: frozenset[str] = field(default=frozenset(), converter=_ids, eq=False)
