"""The in-memory stores keep the contracts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hubspot_sync.stores.memory import (
    MemoryActionSink,
    MemoryCheckpointer,
    MemoryErrorQueue,
    MemoryTokenStore,
)
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts import (
    ActionSinkContract,
    CheckpointerContract,
    ErrorQueueContract,
    TokenStoreContract,
)


class TestMemoryTokenStore(TokenStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryTokenStore()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store


class TestMemoryActionSink(ActionSinkContract):
    @pytest.fixture
    def store(self):
        return MemoryActionSink()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store

    @pytest.fixture
    def stored(self, store):
        return lambda: store.actions


class TestMemoryErrorQueue(ErrorQueueContract):
    @pytest.fixture
    def store(self):
        return MemoryErrorQueue()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store


class TestMemoryCheckpointer(CheckpointerContract):
    short = timedelta(minutes=1)

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def store(self, clock):
        return MemoryCheckpointer(clock=clock)

    @pytest.fixture
    def reopen(self, store):
        return lambda: store

    @pytest.fixture
    def let_pass(self, clock):
        return clock.advance

    @pytest.fixture
    def set_clock(self, clock):
        return lambda by: clock.set(clock.now() + by)
