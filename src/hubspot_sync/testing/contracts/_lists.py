"""Cases of the `AccountStore` contract about lists: accounts page by page, and their domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.models import AccountKey, AccountStatus
from hubspot_sync.testing.contracts._entries import AccountStoreFixtures, entry, keep, names, walk
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STRANGE_NAMES,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PAUSED = AccountStatus.PAUSED


def all_domains(store: Any, limit: int = 100) -> list[str]:
    """All that `domains` gives, page by page."""
    found: list[str] = []
    page: Sequence[str] = store.domains(limit=limit)
    while page:
        assert len(page) <= limit
        found.extend(page)
        page = store.domains(limit=limit, after=page[-1])
    return found


class ListCases(AccountStoreFixtures):
    """Walks through the accounts of a domain, or of all."""

    def test_nothing_to_browse(self, store: Any) -> None:
        """An empty store has empty pages."""
        assert list(store.browse(None, limit=10)) == []
        assert list(store.browse("acme", limit=10)) == []
        assert list(store.browse(None, limit=10, after=ACCOUNT)) == []
        assert list(store.domains(limit=10)) == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_accounts_come_in_the_order_of_their_keys(self, store: Any, limit: int) -> None:
        """As text, domain first, each once, in pages of any size."""
        expected = ["B/1", "a/10", "a/100", "a/2", "a/20", "a/3", "ab/1", "b/1", "\u00e9/1"]
        for name in reversed(expected):
            keep(store, entry(AccountKey(*name.split("/"))))

        assert expected == names(walk(store, limit=limit))
        assert names(walk(store, "a", limit=limit)) == ["a/10", "a/100", "a/2", "a/20", "a/3"]
        assert all_domains(store, limit) == ["B", "a", "ab", "b", "\u00e9"]

    def test_what_is_browsed_is_what_was_saved(self, store: Any) -> None:
        """Whole, with its revision."""
        (first, second) = keep(store, entry(ACCOUNT), entry(NEIGHBOUR, name="acme.com"))
        second = store.save(second)

        assert [first, second] == walk(store)
        assert second.revision == 2

    def test_a_domain_shows_its_own_accounts_only(self, store: Any) -> None:
        """Also where the same account is connected in two domains, and from wherever it goes on."""
        keep(store, entry(ACCOUNT), entry(NEIGHBOUR), entry(OTHER_DOMAIN))

        assert names(walk(store, "globex")) == ["globex/62515"]
        assert names(walk(store, "acme")) == ["acme/62515", "acme/62516"]
        assert walk(store, "acm") == walk(store, "ACME") == walk(store, "") == []
        assert names(store.browse("globex", limit=10, after=NEIGHBOUR)) == ["globex/62515"]
        assert list(store.browse("acme", limit=10, after=OTHER_DOMAIN)) == []

    def test_after_an_account_that_is_gone(self, store: Any) -> None:
        """A walk goes on from where a deleted account was."""
        keep(store, *(entry(AccountKey("acme", str(n))) for n in range(1, 5)))
        store.delete(AccountKey("acme", "2"))

        found = store.browse("acme", limit=10, after=AccountKey("acme", "2"))

        assert names(found) == ["acme/3", "acme/4"]

    @pytest.mark.parametrize("status", AccountStatus)
    def test_one_status_only(self, store: Any, status: AccountStatus) -> None:
        """Pages are filled with those that have it."""
        others = [one for one in AccountStatus if one is not status]
        for number in range(12):
            wanted = status if number % 4 == 0 else others[number % 3]
            keep(store, entry(AccountKey("acme", str(100 + number)), status=wanted))
        keep(store, entry(OTHER_DOMAIN, status=status))

        assert names(walk(store, "acme", limit=2, status=status)) == [
            "acme/100",
            "acme/104",
            "acme/108",
        ]
        assert len(walk(store, limit=2, status=status)) == 4

    def test_a_status_that_changes(self, store: Any) -> None:
        """It is found by the one that was saved last."""
        (saved,) = keep(store, entry(ACCOUNT))
        store.save(entry(ACCOUNT, status=PAUSED, revision=saved.revision))

        assert names(walk(store, status=PAUSED)) == ["acme/62515"]
        assert walk(store, status=AccountStatus.ACTIVE) == []

    def test_the_deleted_are_in_no_list(self, store: Any) -> None:
        """A domain without accounts is none."""
        keep(store, entry(ACCOUNT), entry(NEIGHBOUR), entry(OTHER_DOMAIN))

        store.delete(OTHER_DOMAIN)
        store.delete(NEIGHBOUR)

        assert names(walk(store)) == ["acme/62515"]
        assert walk(store, "globex") == walk(store, status=PAUSED) == []
        assert all_domains(store) == ["acme"]

    def test_a_page_of_none(self, store: Any) -> None:
        """With a limit of zero every page is empty."""
        keep(store, entry(ACCOUNT))

        assert list(store.browse(None, limit=0)) == []
        assert list(store.domains(limit=0)) == []

    def test_any_name_of_a_domain(self, store: Any) -> None:
        """Each shows its own account and no other, and all come in the order of their text."""
        keep(store, *(entry(AccountKey(name, "1"), name=name) for name in STRANGE_NAMES))

        for name in STRANGE_NAMES:
            assert [name] == [one.name for one in walk(store, name)]
        assert sorted(STRANGE_NAMES) == [one.name for one in walk(store, limit=7)]
        assert sorted(STRANGE_NAMES) == all_domains(store, limit=7)
