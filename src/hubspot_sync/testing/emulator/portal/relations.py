"""The associations of an account as tests handle them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator.portal.associations import Link
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.types import ObjectType


class Relations:
    """The associations of one HubSpot account, of any pair of object types.

    No change of them moves a modified date (HubSpot 2.5). Thread-safe.
    Each method raises KeyError for an object type or a record that is not there.
    """

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def define_label(
        self, from_type: str, to_type: str, label: str, *, inverse: str | None = None
    ) -> int:
        """Add an association label; returns its type id from *from_type* to *to_type*."""
        source, target = self._portal.kind(from_type), self._portal.kind(to_type)
        with self._portal.lock:
            link = self._portal.links.define(source, target, label, inverse or label)
        return link.forward.type_id

    def associate(
        self,
        from_type: str,
        from_id: str,
        to_type: str,
        to_id: str,
        *,
        primary: bool = False,
        label: str | None = None,
    ) -> None:
        """Associate two records; neither modified date moves.

        Args:
            from_type: The object type of one end.
            from_id: The record at this end.
            to_type: The object type of the other end.
            to_id: The record at that end.
            primary: Make *to_id* the primary record of its type; a former one loses that role.
            label: A label from `define_label`.

        Raises:
            ValueError: The pair of types has no primary record, or not this label.
        """
        ends = self._portal.kind(from_type), self._portal.kind(to_type)
        with self._portal.lock:
            source = self._portal.record(ends[0], from_id).number
            target = self._portal.record(ends[1], to_id).number
            links = [self._link(ends, None)] if primary else []
            links.append(self._portal.links.unlabeled(*ends))
            if label is not None:
                links.append(self._link(ends, label))
            self._portal.connect(ends, source, target, tuple(links))

    def dissociate(
        self, from_type: str, from_id: str, to_type: str, to_id: str, *, label: str | None = None
    ) -> None:
        """Take an association away, or only one label of it; no modified date moves.

        Raises:
            ValueError: The pair of types has not this label.
        """
        ends = self._portal.kind(from_type), self._portal.kind(to_type)
        with self._portal.lock:
            link = None if label is None else self._link(ends, label)
            self._portal.disconnect(ends, int(from_id), int(to_id), link)

    def relabel(self, from_type: str, from_id: str, to_type: str, to_id: str, *labels: str) -> None:
        """Let an association carry exactly these labels; neither modified date moves.

        Args:
            from_type: The object type of one end.
            from_id: The record at this end.
            to_type: The object type of the other end.
            to_id: The record at that end.
            labels: From `define_label`, or "Primary"; none leaves the plain association.

        Raises:
            ValueError: The pair of types has not this label.
        """
        ends = self._portal.kind(from_type), self._portal.kind(to_type)
        pair, source, target = (ends[0].type_id, ends[1].type_id), int(from_id), int(to_id)
        with self._portal.lock:
            if target not in self._portal.edges.of(pair, source):
                raise KeyError(f"{from_type} {from_id} is not associated with {to_type} {to_id}")
            wanted = [self._link(ends, label) for label in labels]
            for link in self._portal.links.between(*ends):
                if link.forward.label is not None and link not in wanted:
                    self._portal.disconnect(ends, source, target, link)
            plain = self._portal.links.unlabeled(*ends)
            self._portal.connect(ends, source, target, (*wanted, plain))

    def _link(self, ends: tuple[ObjectType, ObjectType], label: str | None) -> Link:
        links = self._portal.links
        link = links.primary(*ends) if label is None else links.labelled(*ends, label)
        if link is None:
            what = "primary record" if label is None else f"label {label!r}"
            raise ValueError(f"{ends[0].name} to {ends[1].name} has no {what}")
        return link
