"""The part of the `AccountStore` contract that is about what is due, and whose turn it is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from hubspot_sync.models import Account, AccountKey, AccountStatus
from hubspot_sync.testing.contracts._entries import SECOND, AccountStoreFixtures, entry, keep, names
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    KATHMANDU,
    MOMENT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STRANGE_NAMES,
)

if TYPE_CHECKING:
    from hubspot_sync.models import AccountEntry


HOUR: Final = timedelta(hours=1)


def waiting(name: str, seconds: int) -> AccountEntry:
    """The account of *name*, such as "acme/1", that has been due for *seconds* at `MOMENT`."""
    return entry(AccountKey(*name.split("/")), next_sync_at=MOMENT - seconds * SECOND)


class TurnsCases(AccountStoreFixtures):
    """Finds what is due, of each domain in turn."""

    def test_nothing_is_due(self, store: Any) -> None:
        """An empty store has nothing that is due."""
        assert list(store.due(MOMENT, limit=10)) == []

    def test_due_from_its_moment_on(self, store: Any) -> None:
        """Not a millisecond before; the zone of *now* makes no difference."""
        (saved,) = keep(store, entry(ACCOUNT))

        assert list(store.due(MOMENT - SECOND / 1000, limit=10)) == []
        assert [saved] == list(store.due(MOMENT, limit=10))
        assert [saved] == list(store.due(MOMENT.astimezone(KATHMANDU), limit=10))
        assert [saved] == list(store.due(MOMENT.replace(year=9998), limit=10))

    @pytest.mark.parametrize("status", [one for one in AccountStatus if one.name != "ACTIVE"])
    def test_only_active_accounts_are_due(self, store: Any, status: AccountStatus) -> None:
        """One that became active again is."""
        (saved,) = keep(store, entry(ACCOUNT, status=status))

        assert list(store.due(MOMENT, limit=10)) == []
        active = store.save(evolve(saved, status=AccountStatus.ACTIVE))
        assert [active] == list(store.due(MOMENT, limit=10))

    def test_never_due(self, store: Any) -> None:
        """Without an instant, after a delete, and when the instant was moved on."""
        keep(store, entry(ACCOUNT, next_sync_at=None), entry(NEIGHBOUR))
        (moved,) = keep(store, entry(OTHER_DOMAIN))

        store.delete(NEIGHBOUR)
        store.save(evolve(moved, next_sync_at=MOMENT + SECOND))

        assert list(store.due(MOMENT, limit=10)) == []

    def test_what_a_wrong_clock_put_off_is_due(self, store: Any) -> None:
        """Behind all that waits: what is further ahead than its period, a day, and what was said.

        In a fleet's entries one process whose clock is years ahead leaves such instants.
        """
        years, day = timedelta(days=3653), timedelta(days=1)
        often = {"next_sync_at": MOMENT + years}
        rare = Account(domain_id="rare", account_id="1", sync_every=30 * day)
        wrong = keep(
            store,
            entry(AccountKey("a", "1"), next_sync_at=MOMENT + 25 * HOUR + SECOND),
            entry(AccountKey("a", "2"), **often),
            entry(AccountKey("b", "1"), **often, postponed_at=MOMENT + years - 30 * day),
            entry(account=rare, next_sync_at=MOMENT + 30 * day + 2 * SECOND),
        )
        keep(
            store,
            entry(AccountKey("a", "3"), next_sync_at=MOMENT + 25 * HOUR),
            entry(AccountKey("a", "4"), **often, postponed_at=MOMENT),
            entry(AccountKey("a", "5"), **often, postponed_at=MOMENT - 30 * day),
            entry(AccountKey("a", "6"), **often, status=AccountStatus.PAUSED),
            entry(account=evolve(rare, account_id="2"), next_sync_at=MOMENT + 30 * day),
        )
        (waits,) = keep(store, waiting("z/1", 1))

        found = names(store.due(MOMENT, limit=10))

        assert names([waits]) == found[:1] == names(store.due(MOMENT, limit=1))
        assert set(names(wrong)) == set(found[1:])
        everything = store.browse(None, limit=100)
        assert set(found) == {str(one.key) for one in everything if one.is_due(MOMENT)}
        assert len(store.due(MOMENT, limit=3)) == 3
        assert names(store.due(MOMENT, limit=10, domain_id="rare")) == ["rare/1"]
        assert names(store.due(MOMENT, limit=10, domain_id="b")) == ["b/1"]

    def test_the_longest_wait_comes_first(self, store: Any) -> None:
        """Within a domain; what waits equally long comes in the order of the ids as text."""
        keep(store, *(waiting(f"acme/{n}", n % 3) for n in (10, 2, 5, 1, 7, 100)))

        expected = ["acme/2", "acme/5", "acme/1", "acme/10", "acme/100", "acme/7"]

        assert expected == names(store.due(MOMENT, limit=10))
        assert expected[:4] == names(store.due(MOMENT, limit=4))

    def test_domains_take_turns(self, store: Any) -> None:
        """The first of each by their waiting, then the second of each, and so on."""
        keep(
            store,
            *(waiting(f"large/{n}", 1000 - n) for n in range(10, 20)),
            waiting("small/1", 5),
            waiting("small/2", 500),
            waiting("new/1", 0),
            waiting("even/1", 5),
        )

        found = names(store.due(MOMENT, limit=100))

        first = ["large/10", "small/2", "even/1", "new/1"]
        assert [*first, "large/11", "small/1"] == found[:6]
        assert [f"large/{n}" for n in range(12, 20)] == found[6:]
        assert [*first, "large/11"] == names(store.due(MOMENT, limit=5))

    def test_equal_waits_come_in_the_order_of_the_keys(self, store: Any) -> None:
        """So the order is the same each time, whatever the order in which they were saved."""
        keep(store, *(entry(AccountKey(domain, "1")) for domain in "dbecaf"))

        assert [f"{domain}/1" for domain in "abcdef"] == names(store.due(MOMENT, limit=10))

    def test_a_large_domain_hides_no_other(self, store: Any) -> None:
        """With one domain of many accounts and many of one, each is found at once."""
        keep(store, *(waiting(f"large/{n}", 3600) for n in range(300)))
        keep(store, *(waiting(f"small-{n}/1", n) for n in range(50)))

        found = store.due(MOMENT, limit=51)

        assert {"large", *(f"small-{n}" for n in range(50))} == {one.key.domain_id for one in found}

    def test_one_domain_only(self, store: Any) -> None:
        """Asked for one, no other is seen, the same account there included."""
        keep(store, entry(ACCOUNT), entry(NEIGHBOUR), entry(OTHER_DOMAIN))

        assert names(store.due(MOMENT, limit=10, domain_id="globex")) == ["globex/62515"]
        assert names(store.due(MOMENT, limit=1, domain_id="acme")) == ["acme/62515"]
        assert list(store.due(MOMENT, limit=10, domain_id="acm")) == []
        assert list(store.due(MOMENT, limit=10, domain_id="")) == []

    def test_none_are_wanted(self, store: Any) -> None:
        """With a limit of zero nothing is given."""
        keep(store, entry(ACCOUNT))

        assert list(store.due(MOMENT, limit=0)) == []

    def test_domains_of_any_name_take_turns(self, store: Any) -> None:
        """Each is a domain of its own."""
        for name in STRANGE_NAMES:
            keep(store, *(entry(AccountKey(name, number)) for number in ("1", "2")))

        found = store.due(MOMENT, limit=len(STRANGE_NAMES))

        assert [(name, "1") for name in sorted(STRANGE_NAMES)] == [
            (one.key.domain_id, one.key.account_id) for one in found
        ]
        odd = store.due(MOMENT, limit=10, domain_id="$$ROOT")
        assert names(odd) == ["$$ROOT/1", "$$ROOT/2"]
