"""What every `NonceStore` has to keep."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from hubspot_sync._clock import SystemClock
from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.testing.contracts._samples import KATHMANDU, STRANGE_NAMES, at_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hubspot_sync.interfaces import NonceStore

HOUR: Final = timedelta(hours=1)
FAR: Final = timedelta(days=1_000_000)


class NonceStoreContract:
    """Subclass it and override `store` and `reopen`; `away` too if the back end can be away."""

    @pytest.fixture
    def store(self) -> NonceStore:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], NonceStore]:
        """Opens a second handle on what `store` keeps, as another worker would."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> NonceStore:
        """A store whose back end cannot be reached."""
        pytest.skip("this store has no back end that could be away")

    @pytest.fixture
    def now(self) -> datetime:
        """The present time of the store's clock; the operating system's by default."""
        return SystemClock().now()

    def test_once_only(self, store: NonceStore, now: datetime) -> None:
        """The first use is one, no later one is, whatever it says of the end."""
        assert store.spend("abc", now + HOUR) is True

        assert store.spend("abc", now + HOUR) is False
        assert store.spend("abc", now + 2 * HOUR) is False
        assert store.spend("abc", (now + HOUR).astimezone(KATHMANDU)) is False

    def test_nonces_do_not_meet(self, store: NonceStore, now: datetime) -> None:
        """Each of them can be used, in whatever characters, case and length."""
        nonces = [*STRANGE_NAMES, "abc", "ABC", "abc ", "abcd", "x" * 500, "x" * 501]

        assert [True] * len(nonces) == [store.spend(nonce, now + HOUR) for nonce in nonces]
        assert [False] * len(nonces) == [store.spend(nonce, now + HOUR) for nonce in nonces]

    def test_it_is_remembered_while_others_run_out(self, store: NonceStore, now: datetime) -> None:
        """Those that are out of date already, or are the next moment, take no other with them."""
        store.spend("abc", now + HOUR)
        store.spend("far", now + FAR)
        for number in range(20):
            store.spend(f"late {number}", now - number * 100 * HOUR)

        assert store.spend("another", now + HOUR) is True
        assert store.spend("abc", now + HOUR) is False
        assert store.spend("far", now + FAR) is False

    def test_one_of_many_wins(
        self, store: NonceStore, reopen: Callable[[], NonceStore], now: datetime
    ) -> None:
        """Of eight threads with the same nonce one gets True, round after round."""
        handles = (store, reopen())

        def spend(nonce: str, number: int) -> bool:
            return handles[number % 2].spend(nonce, now + HOUR)

        for nonce in ("a", "b", "c"):
            answers = at_once(partial(spend, nonce))
            assert sorted(answers) == [False] * 7 + [True]

    def test_another_handle_remembers(
        self, store: NonceStore, reopen: Callable[[], NonceStore], now: datetime
    ) -> None:
        """What one worker saw used, the next one refuses."""
        store.spend("abc", now + HOUR)

        assert reopen().spend("abc", now + HOUR) is False

    def test_a_back_end_that_is_away_is_an_error_of_ours(
        self, away: NonceStore, now: datetime
    ) -> None:
        """It is `StoreUnavailableError`, neither True nor False."""
        with pytest.raises(StoreUnavailableError):
            away.spend("abc", now + HOUR)
