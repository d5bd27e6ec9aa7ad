"""The part of the `ActionSink` contract for a sink that can forget: `ErasableSink`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from hubspot_sync.models import AccountKey, ActionKind, StreamKey
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STREAM,
    VERSION,
    action,
    an_end,
    creation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubspot_sync.models import Action

    Stored = Callable[[], Sequence[Action]]

# Accounts whose keys begin alike, or with parts of the key of another one's object.
ALIKE: Final = (
    NEIGHBOUR,
    OTHER_DOMAIN,
    AccountKey("acme", "6251"),
    AccountKey("acme", "625155"),
    AccountKey("acm", "62515"),
    AccountKey("acme:62515", "1"),
    AccountKey("acme:62515:contacts:1", "62515"),
    AccountKey("ACME", "62515"),
)


def _places(actions: Sequence[Action]) -> list[str]:
    return sorted(f"{one.account} {one.object_type} {one.object_id}" for one in actions)


class ErasureCases:
    """What is forgotten is gone, and nothing else; skipped for a sink without `erase`."""

    @pytest.fixture
    def _erasable(self, store: Any) -> None:
        if not hasattr(store, "erase"):
            pytest.skip("this sink cannot forget")

    @pytest.mark.usefixtures("_erasable")
    def test_objects_are_erased(self, store: Any, stored: Stored) -> None:
        """All that is kept of them, in this stream alone; the second time nothing is left."""
        spared = [
            creation("12"),
            creation("3"),
            creation("1", object_type="companies"),
            *(creation("1", account=account) for account in ALIKE),
        ]
        store.write([creation("1"), creation("2"), *spared])
        store.write([action("1", version=VERSION + 1)])

        assert store.erase(STREAM, ["1", "2", "4"]) in (2, 3)  # of records, or of actions

        assert _places(spared) == _places(stored())
        assert store.erase(STREAM, ["1", "2", "4"]) == 0
        assert store.erase(STREAM, []) == 0

    @pytest.mark.usefixtures("_erasable")
    def test_what_says_that_an_object_was_erased_stays(self, store: Any, stored: Stored) -> None:
        """It is told once, and forgetting the object again does not undo it."""
        store.write([creation("1"), an_end(ActionKind.DELETED, VERSION + 5)])

        assert store.erase(STREAM, ["1"]) > 0
        store.write([an_end(ActionKind.ERASED, VERSION + 6)])

        assert store.erase(STREAM, ["1"]) == 0
        (kept,) = stored()
        assert (kept.kind, dict(kept.properties)) == (ActionKind.ERASED, {})

    @pytest.mark.usefixtures("_erasable")
    def test_an_erased_object_may_be_created(self, store: Any, stored: Stored) -> None:
        """For a sink it is one that it never heard of."""
        store.write([creation("1")])
        store.erase(STREAM, ["1"])

        answer = store.write([creation("1", VERSION + 1)])

        assert not (answer.repeated or answer.already_created or answer.refused)
        assert [kept.version for kept in stored()] == [VERSION + 1]

    @pytest.mark.usefixtures("_erasable")
    def test_an_account_is_purged(self, store: Any, stored: Stored) -> None:
        """With what says that objects were erased; of no other account anything."""
        others = [creation("1", account=account) for account in ALIKE]
        store.write([creation("1"), creation("2", object_type="companies"), *others])
        store.write([an_end(ActionKind.ERASED, VERSION + 6, "7")])

        assert store.purge(ACCOUNT) == 3

        assert _places(others) == _places(stored())
        assert store.purge(ACCOUNT) == 0

    @pytest.mark.usefixtures("_erasable")
    def test_many_objects_are_erased(self, store: Any, stored: Stored) -> None:
        """Thousands at once, each with several actions."""
        for version in (VERSION, VERSION + 1):
            store.write([action(str(n), version=version) for n in range(3_000)])

        store.erase(STREAM, [str(n) for n in range(2_999)])
        store.erase(StreamKey(ACCOUNT, "companies"), ["2999"])

        assert {"2999"} == {kept.object_id for kept in stored()}
