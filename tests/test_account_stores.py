"""Which accounts there are, and which nonces were used, on every back end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hubspot_sync.stores.memory import MemoryAccountStore, MemoryNonceStore
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts import AccountStoreContract, NonceStoreContract
from hubspot_sync.testing.contracts._samples import MOMENT

HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    return ManualClock(MOMENT)


class TestMemoryAccountStore(AccountStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryAccountStore()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store


class TestMemoryNonceStore(NonceStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryNonceStore()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store


class TestForgetting:
    def test_memory_forgets_what_is_out_of_date(self, clock):
        """So it does not grow for ever."""
        store = MemoryNonceStore(clock=clock)
        store.spend("abc", MOMENT + HOUR)
        store.spend("later", MOMENT + 10 * HOUR)

        clock.advance(5 * HOUR)
        store.spend("new", MOMENT + 10 * HOUR)

        assert store._spent == {"later", "new"}
