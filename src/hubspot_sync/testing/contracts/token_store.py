"""What every `TokenStore` has to keep."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from hubspot_sync.errors import RevisionConflictError, StoreUnavailableError
from hubspot_sync.models import AccountKey, OAuthTokens, StaticAccessToken, StoredCredentials
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    KATHMANDU,
    MOMENT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STRANGE_NAMES,
    TOKENS,
    at_once,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import TokenStore

OTHER = StaticAccessToken(access_token="pat-na1-2")  # noqa: S106 - made up


class TokenStoreContract:
    """Subclass it and override `store` and `reopen`; `away` too if the back end can be away."""

    @pytest.fixture
    def store(self) -> TokenStore:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], TokenStore]:
        """Opens a second handle on what `store` keeps, as another worker would."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> TokenStore:
        """A store whose back end cannot be reached."""
        pytest.skip("this store has no back end that could be away")

    def test_absent_is_none(self, store: TokenStore) -> None:
        """Loading what was never saved gives None."""
        assert store.load(ACCOUNT) is None

    def test_deleting_what_is_absent_does_nothing(self, store: TokenStore) -> None:
        """Deleting, even twice, what was never saved raises nothing."""
        store.delete(ACCOUNT)
        store.delete(ACCOUNT)

        assert store.load(ACCOUNT) is None

    @pytest.mark.parametrize(
        "credentials",
        [
            TOKENS,
            OAuthTokens(refresh_token="only-refresh"),  # noqa: S106 - made up
            evolve(TOKENS, expires_at=MOMENT.astimezone(KATHMANDU)),
            StaticAccessToken(access_token="pat-na1-1"),  # noqa: S106 - made up
        ],
        ids=["oauth", "before the first refresh", "other zone", "static"],
    )
    def test_a_save_comes_back(
        self, store: TokenStore, credentials: OAuthTokens | StaticAccessToken
    ) -> None:
        """What was saved is loaded as it was, to the millisecond, with revision 1."""
        saved = store.save(ACCOUNT, credentials, expected_revision=None)

        assert StoredCredentials(credentials=credentials, revision=1) == saved
        assert saved == store.load(ACCOUNT) == store.load(ACCOUNT)

    def test_an_instant_comes_back_aware(self, store: TokenStore) -> None:
        """The instant of expiry is loaded with its zone."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)

        loaded = store.load(ACCOUNT)

        assert loaded is not None
        assert isinstance(loaded.credentials, OAuthTokens)
        assert loaded.credentials.expires_at is not None
        assert loaded.credentials.expires_at.tzinfo is not None

    def test_each_save_adds_one(self, store: TokenStore) -> None:
        """A save that knows the stored revision replaces it and raises the revision by one."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)

        second = store.save(ACCOUNT, OTHER, expected_revision=1)
        third = store.save(ACCOUNT, TOKENS, expected_revision=2)

        assert (second.revision, third.revision) == (2, 3)
        assert StoredCredentials(credentials=TOKENS, revision=3) == store.load(ACCOUNT)

    @pytest.mark.parametrize("expected_revision", [None, 0, 1, 3])
    def test_a_stale_save_is_refused(
        self, store: TokenStore, expected_revision: int | None
    ) -> None:
        """A save that expects another revision is refused and changes nothing."""
        store.save(ACCOUNT, OTHER, expected_revision=None)
        kept = store.save(ACCOUNT, TOKENS, expected_revision=1)

        with pytest.raises(RevisionConflictError):
            store.save(ACCOUNT, OTHER, expected_revision=expected_revision)

        assert kept == store.load(ACCOUNT)

    def test_the_second_of_two_equal_saves_is_refused(self, store: TokenStore) -> None:
        """Saving again with the same expected revision is refused."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)

        with pytest.raises(RevisionConflictError):
            store.save(ACCOUNT, TOKENS, expected_revision=None)

    def test_a_save_that_expects_what_is_absent_is_refused(self, store: TokenStore) -> None:
        """A save that expects a revision where there is none is refused and stores nothing."""
        with pytest.raises(RevisionConflictError):
            store.save(ACCOUNT, TOKENS, expected_revision=1)

        assert store.load(ACCOUNT) is None

    def test_deleted_is_absent(self, store: TokenStore) -> None:
        """After a delete nothing is loaded; a second delete does nothing."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)

        store.delete(ACCOUNT)
        store.delete(ACCOUNT)

        assert store.load(ACCOUNT) is None

    def test_revisions_go_on_after_a_delete(self, store: TokenStore) -> None:
        """A save after a delete gets a revision above every earlier one."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)
        store.save(ACCOUNT, TOKENS, expected_revision=1)
        store.delete(ACCOUNT)

        saved = store.save(ACCOUNT, OTHER, expected_revision=None)

        assert StoredCredentials(credentials=OTHER, revision=3) == saved == store.load(ACCOUNT)

    def test_a_save_from_before_a_delete_is_refused(self, store: TokenStore) -> None:
        """A worker that loaded before the delete cannot bring the credentials back."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)
        store.delete(ACCOUNT)

        with pytest.raises(RevisionConflictError):
            store.save(ACCOUNT, TOKENS, expected_revision=1)

        assert store.load(ACCOUNT) is None

    def test_accounts_do_not_meet(self, store: TokenStore) -> None:
        """Neither accounts of one domain nor one account id in two domains share anything."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)
        store.save(NEIGHBOUR, OTHER, expected_revision=None)

        store.delete(NEIGHBOUR)

        assert StoredCredentials(credentials=TOKENS, revision=1) == store.load(ACCOUNT)
        assert store.load(NEIGHBOUR) is None
        assert store.load(OTHER_DOMAIN) is None

    def test_accounts_with_credentials_are_listed(self, store: TokenStore) -> None:
        """Page by page in one order, without those that were deleted; for `TokenStoreAdmin`."""
        if not hasattr(store, "accounts"):
            pytest.skip("this store does not list accounts")
        assert list(store.accounts(limit=2)) == []
        keys = [AccountKey(domain, number) for domain in ("acme", "é/1") for number in ("7", "62")]
        for key in (*keys, NEIGHBOUR):
            store.save(key, TOKENS, expected_revision=None)
        store.delete(NEIGHBOUR)

        found = [*store.accounts(limit=3)]
        found += store.accounts(limit=3, after=found[-1])

        assert sorted(found) == sorted(keys)
        assert list(store.accounts(limit=3, after=found[-1])) == []

    def test_any_name_of_a_domain_is_kept_apart(self, store: TokenStore) -> None:
        """Punctuation, scripts and look-alikes in domain ids are names like any other."""
        accounts = [AccountKey(name, "1") for name in STRANGE_NAMES]
        for number, account in enumerate(accounts):
            tokens = StaticAccessToken(access_token=f"pat-{number}")
            store.save(account, tokens, expected_revision=None)

        loaded = [store.load(account) for account in accounts]

        expected = [StaticAccessToken(access_token=f"pat-{n}") for n in range(len(accounts))]
        assert expected == [stored.credentials if stored else None for stored in loaded]

    def test_secrets_are_in_no_repr(self, store: TokenStore) -> None:
        """Neither the store's repr nor that of what it gives out shows a secret."""
        saved = store.save(ACCOUNT, TOKENS, expected_revision=None)

        shown = repr(store) + str(store) + repr(saved) + repr(store.load(ACCOUNT))

        assert TOKENS.refresh_token not in shown
        assert "access-1" not in shown

    def test_one_of_many_savers_wins(
        self, store: TokenStore, reopen: Callable[[], TokenStore]
    ) -> None:
        """Of eight threads with the same expected revision one saves, round after round."""
        handles = (store, reopen())

        def save(number: int, expected: int | None) -> int | None:
            mine = StaticAccessToken(access_token=f"pat-{number}")
            try:
                return handles[number % 2].save(ACCOUNT, mine, expected_revision=expected).revision
            except RevisionConflictError:
                return None

        for expected in (None, 1, 2):
            revisions = at_once(partial(save, expected=expected))
            assert [(expected or 0) + 1] == [r for r in revisions if r is not None]

    def test_another_handle_sees_everything(
        self, store: TokenStore, reopen: Callable[[], TokenStore]
    ) -> None:
        """What one worker saved, the next one loads; what it deleted stays deleted."""
        store.save(ACCOUNT, TOKENS, expected_revision=None)
        store.save(NEIGHBOUR, TOKENS, expected_revision=None)
        store.delete(NEIGHBOUR)

        reopened = reopen()

        assert StoredCredentials(credentials=TOKENS, revision=1) == reopened.load(ACCOUNT)
        assert reopened.load(NEIGHBOUR) is None
        assert reopened.save(NEIGHBOUR, OTHER, expected_revision=None).revision == 2

    def test_a_back_end_that_is_away_is_an_error_of_ours(self, away: TokenStore) -> None:
        """Every method raises `StoreUnavailableError`, and no message shows a secret."""
        calls: list[Callable[[], object]] = [
            lambda: away.load(ACCOUNT),
            lambda: away.save(ACCOUNT, TOKENS, expected_revision=None),
            lambda: away.save(ACCOUNT, TOKENS, expected_revision=1),
            lambda: away.delete(ACCOUNT),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailableError) as caught:
                call()
            assert TOKENS.refresh_token not in str(caught.value)
