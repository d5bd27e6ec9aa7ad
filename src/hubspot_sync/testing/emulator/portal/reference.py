"""What records refer to: owners, and pipelines with their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from hubspot_sync.testing.emulator.portal import words
from hubspot_sync.testing.emulator.wire import to_iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubspot_sync.testing.emulator.portal.portal import Portal

FIRST_OWNER: Final = 41_000_001
OWNERS: Final = 23
_ARCHIVED_OWNERS: Final = 2
_DEFINED: Final = 1_565_059_268_304  # 2019-08-06
# https://developers.hubspot.com/docs/api-reference/latest/crm/pipelines/guide
_STAGES: Final[dict[str, tuple[tuple[str, str, dict[str, str]], ...]]] = {
    "0-3": (
        ("appointmentscheduled", "Appointment Scheduled", {"probability": "0.2"}),
        ("contractsent", "Contract Sent", {"probability": "0.9"}),
        ("closedwon", "Closed Won", {"isClosed": "true", "probability": "1.0"}),
        ("closedlost", "Closed Lost", {"isClosed": "true", "probability": "0.0"}),
    ),
    "0-5": (
        ("1", "New", {"ticketState": "OPEN"}),
        ("2", "Waiting on contact", {"ticketState": "OPEN"}),
        ("4", "Closed", {"ticketState": "CLOSED"}),
    ),
}
_FIRST_PIPELINE: Final = {"0-3": ("default", "Sales Pipeline"), "0-5": ("0", "Support Pipeline")}


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


@attrs.frozen(kw_only=True)
class Owner:
    """One owner: a person to whom records belong.

    Attributes:
        owner_id: What `hubspot_owner_id` holds.
        user_id: The number of the HubSpot user; kept apart once the owner is archived.
        teams: The names of the owner's teams, the primary one first.
        archived: Whether the user was removed.
        modified: Milliseconds.
    """

    owner_id: str
    email: str
    first_name: str = ""
    last_name: str = ""
    user_id: int = 0
    teams: tuple[str, ...] = attrs.field(default=(), converter=_names)
    archived: bool = False
    modified: int = _DEFINED

    def to_json(self) -> dict[str, Any]:
        """As HubSpot prints it (HubSpot 9.1)."""
        teams = [
            {"id": str(place + 1), "name": name, "primary": place == 0}
            for place, name in enumerate(self.teams)
        ]
        return {
            "id": self.owner_id,
            "email": self.email,
            "type": "PERSON",
            "firstName": self.first_name,
            "lastName": self.last_name,
            "userId": None if self.archived else self.user_id,
            "userIdIncludingInactive": self.user_id,
            "createdAt": to_iso(_DEFINED),
            "updatedAt": to_iso(self.modified),
            "archived": self.archived,
            **({"teams": teams} if teams else {}),
        }


@attrs.frozen
class Stage:
    """One stage of a pipeline.

    Attributes:
        stage_id: What `dealstage` holds, and the like.
        label: What people read.
        metadata: Such as `probability` and `isClosed`, as text.
    """

    stage_id: str
    label: str
    metadata: dict[str, str] = attrs.field(factory=dict)


def _stages(given: Iterable[Stage | tuple[Any, ...] | list[Any]]) -> tuple[Stage, ...]:
    return tuple(one if isinstance(one, Stage) else Stage(*one) for one in given)


@attrs.frozen(kw_only=True)
class Pipeline:
    """One pipeline of an object type.

    Attributes:
        pipeline_id: What `pipeline` holds.
        label: What people read.
        stages: In order; each a `Stage`, or its id and label.
        modified: Milliseconds.
    """

    pipeline_id: str
    label: str
    stages: tuple[Stage, ...] = attrs.field(default=(), converter=_stages)
    modified: int = _DEFINED

    def to_json(self, place: int) -> dict[str, Any]:
        """As HubSpot prints it (HubSpot 9.2)."""
        dates = {"createdAt": to_iso(_DEFINED), "updatedAt": to_iso(self.modified)}
        return {
            "label": self.label,
            "displayOrder": place,
            "id": self.pipeline_id,
            "stages": [
                {
                    "label": stage.label,
                    "displayOrder": order,
                    "metadata": stage.metadata,
                    "id": stage.stage_id,
                    **dates,
                    "archived": False,
                    "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
                }
                for order, stage in enumerate(self.stages)
            ],
            **dates,
            "archived": False,
        }


class Reference:
    """The owners and pipelines of one HubSpot account, as a test handles them.

    Deals and tickets have a pipeline from the start, other types have none. Thread-safe.
    Each method raises KeyError for an owner, a pipeline or an object type that is not there.
    """

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._owners = {owner.owner_id: owner for owner in map(_owner, range(OWNERS))}
        self._pipelines: dict[str, dict[str, Pipeline]] = {
            type_id: {one.pipeline_id: one}
            for type_id in _STAGES
            for one in [_first_pipeline(type_id)]
        }

    def owners(self, *, archived: bool = False) -> dict[str, Owner]:
        """The owners by id, ascending, without archived ones or only these: a copy."""
        with self._portal.lock:
            found = sorted(self._owners.items(), key=lambda pair: int(pair[0]))
        return {owner_id: owner for owner_id, owner in found if owner.archived == archived}

    def set_owner(
        self,
        owner_id: str,
        *,
        email: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        teams: Iterable[str] | None = None,
        archived: bool | None = None,
    ) -> None:
        """Add an owner, or change one; what is not given stays.

        Args:
            owner_id: A number as text.
            email: Made from the id for a new owner by default.
            first_name: As in HubSpot.
            last_name: As in HubSpot.
            teams: Their names, the primary one first.
            archived: Whether the user was removed.

        Raises:
            ValueError: *owner_id* is not a number.
        """
        new = Owner(owner_id=owner_id, email=f"{owner_id}@example.com", user_id=int(owner_id) + 1)
        given: dict[str, Any] = {
            "email": email,
            "first_name": first_name,
            "last_name": last_name,
            "teams": teams,
            "archived": archived,
        }
        fields = {name: value for name, value in given.items() if value is not None}
        with self._portal.lock:
            known = self._owners.get(owner_id, new)
            self._owners[owner_id] = attrs.evolve(known, modified=self._portal.now(), **fields)

    def pipelines(self, object_type: str) -> dict[str, Pipeline]:
        """The pipelines of a type by id, in their order: a copy."""
        kind = self._portal.kind(object_type)
        with self._portal.lock:
            return dict(self._pipelines.get(kind.type_id, {}))

    def set_pipeline(
        self,
        object_type: str,
        pipeline_id: str,
        label: str,
        stages: Iterable[Stage | tuple[Any, ...] | list[Any]] = (),
    ) -> None:
        """Add a pipeline, or replace one with all its stages.

        Args:
            object_type: Of which type.
            pipeline_id: Which.
            label: What people read.
            stages: Each a `Stage`, or its id, its label and perhaps its metadata.
        """
        kind = self._portal.kind(object_type)
        with self._portal.lock:
            self._pipelines.setdefault(kind.type_id, {})[pipeline_id] = Pipeline(
                pipeline_id=pipeline_id, label=label, stages=stages, modified=self._portal.now()
            )

    def remove_pipeline(self, object_type: str, pipeline_id: str) -> None:
        """Delete a pipeline; the values of records stay as they are."""
        kind = self._portal.kind(object_type)
        with self._portal.lock:
            del self._pipelines.get(kind.type_id, {})[pipeline_id]


def _owner(place: int) -> Owner:
    first, first_slug = words.FIRST_NAMES[place % len(words.FIRST_NAMES)]
    last, last_slug = words.LAST_NAMES[place % len(words.LAST_NAMES)]
    return Owner(
        owner_id=str(FIRST_OWNER + place),
        email=f"{first_slug}.{last_slug}@example.com",
        first_name=first,
        last_name=last,
        user_id=61_000_001 + place,
        teams=("Sales",) if place % 3 == 0 else (),
        archived=place >= OWNERS - _ARCHIVED_OWNERS,
    )


def _first_pipeline(type_id: str) -> Pipeline:
    pipeline_id, label = _FIRST_PIPELINE[type_id]
    return Pipeline(pipeline_id=pipeline_id, label=label, stages=_STAGES[type_id])
