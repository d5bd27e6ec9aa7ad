"""Random histories: one change of an account after another, of every kind that there is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count as counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from hubspot_sync.testing.emulator.portal.series import Series

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

    from hubspot_sync.testing.emulator.portal.content import Content
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.types import ObjectType

    Source: TypeAlias = random.Random  # noqa: TID251 - the caller's own
    # A record, and the type and id at the other end of one of its associations.
    Found: TypeAlias = tuple[str, ObjectType, str]

# How often each comes, so that an account neither grows nor shrinks much.
KINDS: Final = {
    "create": 3.0,
    "edit": 6.0,
    "bump": 1.0,
    "recalculate": 1.0,
    "archive": 2.0,
    "restore": 1.0,
    "merge": 1.0,
    "erase": 0.4,
    "associate": 3.0,
    "dissociate": 1.0,
    "relabel": 1.0,
}
_TRIES: Final = 8


@attrs.frozen(kw_only=True)
class Change:
    """One change that was made.

    Attributes:
        kind: One of `KINDS`: "create", "edit", "archive", "merge"...
        object_type: Of the record that changed.
        object_ids: The records that changed; those that were merged, the first one's values won.
        result: The id of the record that was created, or that came out of a merge.
        properties: The values that were set.
        other: The object type and the id at the other end of an association.
        labels: Those that the association has now, besides the plain one.
    """

    kind: str
    object_type: str
    object_ids: tuple[str, ...]
    result: str | None = None
    properties: Mapping[str, str | None] = attrs.field(factory=dict)
    other: tuple[str, str] | None = None
    labels: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the control path."""
        return attrs.asdict(self)


class History:
    """Changes an account at random; each change costs about the same however large it is.

    The *source* alone decides, so a history can be repeated on another account with the same
    content. Thread-safe.
    """

    def __init__(self, content: Content, portal: Portal) -> None:
        self._content = content
        self._portal = portal
        self._edits = counter(1)
        self._makers: dict[str, Callable[[Source, ObjectType], Change | None]] = {
            "create": self._create,
            "edit": self._edit,
            "bump": self._bump,
            "recalculate": self._recalculate,
            "archive": self._archive,
            "restore": self._restore,
            "merge": self._merge,
            "erase": self._erase,
            "associate": self._associate,
            "dissociate": self._dissociate,
            "relabel": self._relabel,
        }

    def change(
        self,
        source: Source,
        kinds: Iterable[str] | Mapping[str, float] | None = None,
        object_types: Iterable[str] | None = None,
    ) -> Change | None:
        """Make one change; returns it, or None where none of *kinds* can be made now.

        A kind that cannot be made, such as a restore where nothing is archived, gives way to the
        next one of *kinds* that can.

        Args:
            source: Decides what happens: a `random.Random`, or what hypothesis draws.
            kinds: Which kinds, perhaps with how often each comes; those of `KINDS` by default.
            object_types: Which object types, all by default; the other end of an association is
                one of them, too.

        Raises:
            KeyError: There is no such kind or object type.
        """
        shares = _shares(kinds)
        names = list(shares)
        first = names.index(source.choices(names, list(shares.values()))[0])
        with self._portal.lock:
            known = [self._portal.kind(name) for name in object_types or ()]
            every = known or list(self._portal.types)
            for name in names[first:] + names[:first]:
                change = self._make(name, source, every)
                if change is not None:
                    return change
        return None

    def changes(
        self,
        count: int,
        seed: int,
        kinds: Iterable[str] | Mapping[str, float] | None = None,
        object_types: Iterable[str] | None = None,
    ) -> list[Change]:
        """Make *count* changes that *seed* decides; returns those that could be made.

        Arguments and errors are those of `change`.
        """
        source = Series(seed, "history")
        kinds, types = _shares(kinds), list(object_types or ()) or None
        made = (self.change(source, kinds, types) for _ in range(count))
        return [change for change in made if change is not None]

    def _make(self, name: str, source: Source, every: Sequence[ObjectType]) -> Change | None:
        self._every = every
        return self._makers[name](source, source.choice(every))

    def _create(self, source: Source, kind: ObjectType) -> Change:
        properties = self._values(source, kind)
        result = self._content.create(kind.name, properties)
        return Change(
            kind="create",
            object_type=kind.name,
            object_ids=(result,),
            result=result,
            properties=properties,
        )

    def _edit(self, source: Source, kind: ObjectType) -> Change | None:
        ids = self._some(source, kind)
        properties = self._values(source, kind)
        if ids:
            self._content.update(kind.name, ids[0], properties)
        return _of("edit", kind, ids, properties=properties)

    def _bump(self, source: Source, kind: ObjectType) -> Change | None:
        ids = self._some(source, kind)
        self._content.bump(kind.name, object_ids=ids)
        return _of("bump", kind, ids)

    def _recalculate(self, source: Source, kind: ObjectType) -> Change | None:
        ids = self._some(source, kind)
        properties = self._values(source, kind)
        self._content.recalculate(kind.name, object_ids=ids, properties=properties)
        return _of("recalculate", kind, ids, properties=properties)

    def _archive(self, source: Source, kind: ObjectType) -> Change | None:
        ids = self._some(source, kind)
        self._content.archive(kind.name, *ids)
        return _of("archive", kind, ids)

    def _restore(self, source: Source, kind: ObjectType) -> Change | None:
        ids = self._some(source, kind, archived=True)
        self._content.restore(
            kind.name,
            *ids,
            associations=source.random() < 0.8,  # noqa: PLR2004 - a share
            move_date=source.random() < 0.2,  # noqa: PLR2004 - a share
        )
        return _of("restore", kind, ids)

    def _merge(self, source: Source, kind: ObjectType) -> Change | None:
        ids = (*self._some(source, kind), *self._some(source, kind))
        if len(set(ids)) < 2:  # noqa: PLR2004 - two records
            return None
        result = self._content.merge(kind.name, *ids)
        return _of("merge", kind, ids, result=result)

    def _erase(self, source: Source, kind: ObjectType) -> Change | None:
        ids = self._some(source, kind, archived=source.random() < 0.3)  # noqa: PLR2004 - a share
        self._content.erase(kind.name, *ids)
        return _of("erase", kind, ids)

    def _associate(self, source: Source, kind: ObjectType) -> Change | None:
        far = source.choice(self._every)
        near_ids, far_ids = self._some(source, kind), self._some(source, far)
        if not near_ids or not far_ids or (kind, near_ids) == (far, far_ids):
            return None
        self._content.associate(kind.name, near_ids[0], far.name, far_ids[0])
        return self._related("associate", source, kind, (near_ids[0], far, far_ids[0]))

    def _relabel(self, source: Source, kind: ObjectType) -> Change | None:
        found = self._edge(source, kind)
        return found and self._related("relabel", source, kind, found)

    def _dissociate(self, source: Source, kind: ObjectType) -> Change | None:
        found = self._edge(source, kind)
        if found is None:
            return None
        near, far, other = found
        self._content.dissociate(kind.name, near, far.name, other)
        return _of("dissociate", kind, (near,), other=(far.name, other))

    def _related(self, name: str, source: Source, kind: ObjectType, found: Found) -> Change | None:
        """An association with some of its labels, which the source draws."""
        near, far, other = found
        links = self._portal.links.between(kind, far)
        every = [link.forward.label for link in links if link.forward.label is not None]
        labels = tuple(label for label in every if source.random() < 0.5)  # noqa: PLR2004 - a share
        if name == "relabel" and not every:
            return None
        self._content.relabel(kind.name, near, far.name, other, *labels)
        return _of(name, kind, (near,), other=(far.name, other), labels=labels)

    def _edge(self, source: Source, kind: ObjectType) -> Found | None:
        """One association, or None where none was met."""
        for _ in range(_TRIES):
            far = source.choice(self._every)
            for near in self._some(source, kind):
                found = self._portal.edges.of((kind.type_id, far.type_id), int(near))
                if found:
                    return near, far, str(source.choice(list(found)))
        return None

    def _some(self, source: Source, kind: ObjectType, *, archived: bool = False) -> tuple[str, ...]:
        """One record, or none where there is none."""
        table = self._portal.table(kind)
        numbers = table.bin.numbers if archived else table.numbers
        return (str(source.choice(numbers)),) if numbers else ()

    def _values(self, source: Source, kind: ObjectType) -> dict[str, str | None]:
        """A value of one property that people set; now and then it is cleared."""
        definitions = self._portal.definitions(kind).values()
        names = [
            one.name
            for one in definitions
            if one.type in {"string", "number"} and not (one.read_only or one.unique or one.hidden)
        ]
        if not names:
            return {}
        name, number = source.choice(names), str(next(self._edits))
        text = number if self._portal.definitions(kind)[name].type == "number" else f"Edit {number}"
        return {name: None if source.random() < 0.1 else text}  # noqa: PLR2004 - a share


def _shares(kinds: Iterable[str] | Mapping[str, float] | None) -> Mapping[str, float]:
    if kinds is None:
        return KINDS
    return kinds if isinstance(kinds, Mapping) else {name: KINDS[name] for name in kinds}


def _of(name: str, kind: ObjectType, ids: tuple[str, ...], **more: Any) -> Change | None:
    """The change, or None where there was no record to change."""
    return Change(kind=name, object_type=kind.name, object_ids=ids, **more) if ids else None
