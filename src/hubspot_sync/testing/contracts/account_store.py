"""What every `AccountStore` has to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from hubspot_sync.errors import RevisionConflictError, StoreUnavailableError
from hubspot_sync.models import AccountKey, AccountStatus
from hubspot_sync.testing.contracts._entries import ENTRIES, SECOND, entry, keep, walk
from hubspot_sync.testing.contracts._lists import ListCases
from hubspot_sync.testing.contracts._races import RaceCases
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STRANGE_NAMES,
)
from hubspot_sync.testing.contracts._turns import TurnsCases

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import AccountStore
    from hubspot_sync.models import AccountEntry


class AccountStoreContract(RaceCases, TurnsCases, ListCases):
    """Subclass it and override `store` and `reopen`; `away` too if the back end can be away."""

    def test_absent_is_none(self, store: AccountStore) -> None:
        """Loading what was never saved gives None; deleting it, even twice, does nothing."""
        store.delete(ACCOUNT)
        store.delete(ACCOUNT)

        assert store.load(ACCOUNT) is None

    @pytest.mark.parametrize("new", ENTRIES.values(), ids=ENTRIES)
    def test_a_save_comes_back(self, store: AccountStore, new: AccountEntry) -> None:
        """What was saved is loaded as it was, with revision 1."""
        saved = store.save(new)

        assert evolve(new, revision=1) == saved
        assert saved == store.load(ACCOUNT) == store.load(ACCOUNT)
        assert [saved] == walk(store)

    @pytest.mark.parametrize("new", ENTRIES.values(), ids=ENTRIES)
    def test_a_save_replaces_everything(self, store: AccountStore, new: AccountEntry) -> None:
        """Nothing of what was there before is left over."""
        for before in ENTRIES.values():
            kept = store.load(ACCOUNT)
            store.save(evolve(before, revision=kept.revision if kept else 0))

        saved = store.save(evolve(new, revision=len(ENTRIES)))

        assert evolve(new, revision=len(ENTRIES) + 1) == saved == store.load(ACCOUNT)

    def test_instants_come_back_aware(self, store: AccountStore) -> None:
        """All of them are loaded with their zone."""
        store.save(ENTRIES["rich"])

        loaded = store.load(ACCOUNT)

        assert loaded is not None
        assert loaded.last_sync is not None
        assert loaded.next_sync_at is not None
        summary = loaded.streams["contacts"]
        assert summary.completed_at is not None
        for instant in (
            loaded.status_since,
            loaded.next_sync_at,
            loaded.last_sync.finished_at,
            summary.finished_at,
            summary.completed_at,
        ):
            assert instant.tzinfo is not None

    def test_what_was_given_out_is_not_what_is_kept(self, store: AccountStore) -> None:
        """A caller who changes a mapping of an entry changes nothing in the store."""
        mine = dict(ENTRIES["rich"].streams)
        saved = store.save(evolve(ENTRIES["rich"], streams=mine))

        mine.clear()
        loaded = store.load(ACCOUNT)
        assert loaded is not None
        dict.clear(loaded.streams)  # type: ignore[arg-type]

        assert evolve(ENTRIES["rich"], revision=saved.revision) == store.load(ACCOUNT)

    def test_each_save_adds_one(self, store: AccountStore) -> None:
        """A save of the stored revision replaces it and raises the revision by one."""
        first = store.save(entry())
        second = store.save(evolve(first, name="acme.com"))
        third = store.save(evolve(second, status=AccountStatus.PAUSED))

        assert (first.revision, second.revision, third.revision) == (1, 2, 3)
        assert third == store.load(ACCOUNT)

    @pytest.mark.parametrize("revision", [0, 1, 3])
    def test_a_stale_save_is_refused(self, store: AccountStore, revision: int) -> None:
        """A save of another revision is refused and changes nothing."""
        kept = store.save(store.save(entry(name="acme.com")))

        with pytest.raises(RevisionConflictError):
            store.save(entry(revision=revision, next_sync_at=MOMENT - SECOND))

        assert kept == store.load(ACCOUNT)
        assert [kept] == list(store.due(MOMENT, limit=10)) == walk(store)

    def test_the_second_of_two_equal_saves_is_refused(self, store: AccountStore) -> None:
        """Saving the same revision again is refused, also a first one."""
        first = store.save(entry())
        with pytest.raises(RevisionConflictError):
            store.save(entry())

        store.save(first)
        with pytest.raises(RevisionConflictError):
            store.save(first)

    def test_a_save_that_expects_what_is_absent_is_refused(self, store: AccountStore) -> None:
        """A save of a revision where there is none is refused and stores nothing."""
        with pytest.raises(RevisionConflictError):
            store.save(entry(revision=1))

        assert store.load(ACCOUNT) is None
        assert walk(store) == []

    def test_deleted_is_absent(self, store: AccountStore) -> None:
        """After a delete no call finds it; a second delete does nothing."""
        store.save(entry())

        store.delete(ACCOUNT)
        store.delete(ACCOUNT)

        assert store.load(ACCOUNT) is None
        assert walk(store) == list(store.due(MOMENT, limit=10)) == []
        assert list(store.domains(limit=10)) == []

    def test_revisions_go_on_after_a_delete(self, store: AccountStore) -> None:
        """A save after a delete gets a revision above every earlier one, and nothing else."""
        store.save(store.save(ENTRIES["rich"]))
        store.delete(ACCOUNT)

        saved = store.save(ENTRIES["new"])

        assert evolve(ENTRIES["new"], revision=3) == saved == store.load(ACCOUNT)

    def test_a_save_from_before_a_delete_is_refused(self, store: AccountStore) -> None:
        """A worker that loaded before the delete cannot bring the account back."""
        saved = store.save(entry())
        store.delete(ACCOUNT)

        with pytest.raises(RevisionConflictError):
            store.save(saved)

        assert store.load(ACCOUNT) is None

    def test_accounts_do_not_meet(self, store: AccountStore) -> None:
        """Neither accounts of one domain nor one account id in two domains share anything."""
        kept, other = keep(store, entry(ACCOUNT, name="mine"), entry(OTHER_DOMAIN, name="theirs"))
        keep(store, entry(NEIGHBOUR))

        store.delete(NEIGHBOUR)
        store.delete(OTHER_DOMAIN)

        assert kept == store.load(ACCOUNT)
        assert store.load(NEIGHBOUR) is None
        assert store.load(OTHER_DOMAIN) is None
        with pytest.raises(RevisionConflictError):
            store.save(evolve(other, name="mine again"))
        assert [kept] == walk(store)

    def test_any_name_of_a_domain_is_kept_apart(self, store: AccountStore) -> None:
        """Punctuation, scripts and look-alikes in domain ids are names like any other."""
        accounts = [AccountKey(name, "1") for name in STRANGE_NAMES]
        saved = keep(store, *(entry(one, name=f"n{n}") for n, one in enumerate(accounts)))

        assert saved == [store.load(account) for account in accounts]

        for account in accounts[::2]:
            store.delete(account)
        assert saved[1::2] == [one for one in map(store.load, accounts) if one is not None]

    def test_a_back_end_that_is_away_is_an_error_of_ours(self, away: AccountStore) -> None:
        """Every method raises `StoreUnavailableError`."""
        calls: list[Callable[[], object]] = [
            lambda: away.load(ACCOUNT),
            lambda: away.save(entry()),
            lambda: away.save(entry(revision=1)),
            lambda: away.delete(ACCOUNT),
            lambda: away.browse(None, limit=10),
            lambda: away.due(MOMENT, limit=10),
            lambda: away.domains(limit=10),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailableError):
                call()
