"""Cases of the `AccountStore` contract about several workers that want the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync.errors import RevisionConflictError
from hubspot_sync.models import AccountKey
from hubspot_sync.testing.contracts._entries import (
    ENTRIES,
    SECOND,
    AccountStoreFixtures,
    entry,
    keep,
    names,
    walk,
)
from hubspot_sync.testing.contracts._samples import ACCOUNT, MOMENT, NEIGHBOUR, at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import AccountStore
    from hubspot_sync.models import AccountEntry


class RaceCases(AccountStoreFixtures):
    """Of workers that want the same, one gets it, and all see what it did."""

    def test_one_of_many_savers_wins(
        self, store: AccountStore, reopen: Callable[[], AccountStore]
    ) -> None:
        """Of eight threads with the same revision one saves, round after round."""
        handles = (store, reopen())

        def save(number: int, revision: int) -> AccountEntry | None:
            mine = entry(name=f"saver {number}", revision=revision)
            try:
                return handles[number % 2].save(mine)
            except RevisionConflictError:
                return None

        for revision in (0, 1, 2):
            (won,) = (one for one in at_once(partial(save, revision=revision)) if one is not None)
            assert won.revision == revision + 1
            assert won == store.load(ACCOUNT)

    def test_each_due_account_goes_to_one(
        self, store: AccountStore, reopen: Callable[[], AccountStore]
    ) -> None:
        """Eight dispatchers that move on what is due share it without a rest and without twice."""
        keep(store, *(entry(AccountKey("acme", str(n))) for n in range(10, 30)))
        handles = (store, reopen())

        def claim(number: int) -> list[str]:
            handle, claimed = handles[number % 2], []
            while page := handle.due(MOMENT, limit=5):
                for one in page:
                    try:
                        handle.save(evolve(one, next_sync_at=MOMENT + SECOND))
                    except RevisionConflictError:
                        continue
                    claimed.append(str(one.key))
            return claimed

        claimed = [name for claims in at_once(claim) for name in claims]

        assert sorted(claimed) == names(walk(store))
        assert {one.revision for one in walk(store)} == {2}

    def test_another_handle_sees_everything(
        self, store: AccountStore, reopen: Callable[[], AccountStore]
    ) -> None:
        """What one worker saved, the next one finds; what it deleted stays deleted."""
        kept, _ = keep(store, ENTRIES["rich"], entry(NEIGHBOUR))
        store.delete(NEIGHBOUR)

        reopened = reopen()

        assert kept == reopened.load(ACCOUNT)
        assert [kept] == walk(reopened)
        assert reopened.load(NEIGHBOUR) is None
        assert reopened.save(entry(NEIGHBOUR)).revision == 2
