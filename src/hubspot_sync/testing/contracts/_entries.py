"""Accounts that the contracts of the directory try, and a walk through all that a store has."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountKey,
    AccountStatus,
    Counts,
    Mode,
    StreamSettings,
    StreamStatus,
    StreamSummary,
    SyncSummary,
)
from hubspot_sync.testing.contracts._samples import ACCOUNT, KATHMANDU, MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubspot_sync.interfaces import AccountStore

SECOND: Final = timedelta(seconds=1)


class AccountStoreFixtures:
    """The fixtures that a subclass overrides."""

    @pytest.fixture
    def store(self) -> AccountStore:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], AccountStore]:
        """Opens a second handle on what `store` keeps, as another worker would."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> AccountStore:
        """A store whose back end cannot be reached."""
        pytest.skip("this store has no back end that could be away")


def entry(key: AccountKey = ACCOUNT, **changes: Any) -> AccountEntry:
    """A new entry of the account *key* that is due at `MOMENT`, or what *changes* make of it."""
    values: dict[str, Any] = {
        "account": Account(domain_id=key.domain_id, account_id=key.account_id),
        "status_since": MOMENT,
        "next_sync_at": MOMENT,
        **changes,
    }
    return AccountEntry(**values)


# What an entry can hold, down to what differs between nothing and none.
ENTRIES: Final = {
    "new": entry(next_sync_at=None),
    "due": entry(),
    "rich": entry(
        account=Account(
            domain_id=ACCOUNT.domain_id,
            account_id=ACCOUNT.account_id,
            streams=(
                StreamSettings(object_type="2-3465404", properties=()),
                StreamSettings(
                    object_type="contacts",
                    properties=("email", "hs_analytics_*", "jméno", "$set", "a.b"),
                    associations=("companies", "deals"),
                    exclude=("hs_*",),
                    raw_values=True,
                    ignore_missing=True,
                ),
                StreamSettings(object_type="companies"),
            ),
            sync_every=timedelta(days=3, milliseconds=1),
        ),
        status=AccountStatus.NEEDS_REAUTHORIZATION,
        reason='Žluťoučký "株式会社" \\ revoked\r\nit: $set',
        status_since=MOMENT.astimezone(KATHMANDU),
        name="acme.com",
        scopes=("oauth", "crm.objects.contacts.read"),
        last_sync=SyncSummary(
            started_at=MOMENT - SECOND,
            finished_at=MOMENT.astimezone(KATHMANDU),
            completed=False,
            error="$ref.to: nothing",
        ),
        next_sync_at=(MOMENT + SECOND).astimezone(KATHMANDU),
        failed_runs=7,
        streams={
            "contacts": StreamSummary(
                status=StreamStatus.FAILED,
                mode=Mode.BACKFILL,
                counts=Counts(delivered=2**40, repeated=2, unchanged=3, rejected=4, skipped=5),
                finished_at=MOMENT,
                completed_at=MOMENT - SECOND,
                error="HubSpot said no",
            ),
            "2-3465404": StreamSummary(status=StreamStatus.BUSY, finished_at=MOMENT),
        },
    ),
    "postponed": entry(next_sync_at=MOMENT + timedelta(days=99), postponed_at=MOMENT),
    "far away": entry(
        account=Account(
            domain_id=ACCOUNT.domain_id,
            account_id=ACCOUNT.account_id,
            sync_every=timedelta(days=999_999_999),
        ),
        next_sync_at=MOMENT.replace(year=9998),
        status_since=MOMENT.replace(year=1869),
        name="",
        reason="",
    ),
}


def keep(store: AccountStore, *entries: AccountEntry) -> list[AccountEntry]:
    """Save *entries*, which are new, and give them as they are stored."""
    return [store.save(one) for one in entries]


def walk(
    store: AccountStore,
    domain_id: str | None = None,
    *,
    limit: int = 100,
    status: AccountStatus | None = None,
) -> list[AccountEntry]:
    """All that `browse` gives, page by page."""
    found: list[AccountEntry] = []
    page: Sequence[AccountEntry] = store.browse(domain_id, limit=limit, status=status)
    while page:
        assert len(page) <= limit
        found.extend(page)
        page = store.browse(domain_id, limit=limit, after=page[-1].key, status=status)
    return found


def names(entries: Sequence[AccountEntry]) -> list[str]:
    """The keys of *entries*, such as "acme/62515", in their order."""
    return [str(one.key) for one in entries]
