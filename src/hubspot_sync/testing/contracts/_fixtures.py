"""What the parts of the `Checkpointer` contract share: its fixtures and some values."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final

import pytest

from hubspot_sync._clock import SystemClock
from hubspot_sync.models import Fingerprint, Lease, StreamKey
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STREAM,
    VERSION,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import Checkpointer

    Passing = Callable[[timedelta], None]

LONG: Final = timedelta(hours=1)
OTHERS: Final = (
    StreamKey(ACCOUNT, "companies"),
    StreamKey(NEIGHBOUR, "contacts"),
    StreamKey(OTHER_DOMAIN, "contacts"),
)


def a_print(
    object_id: str = "1", version: int = VERSION, digest: bytes = b"\x00\xff"
) -> Fingerprint:
    """A fingerprint of some object."""
    return Fingerprint(object_id=object_id, version=version, digest=digest)


def forged(fence: int = 1) -> Lease:
    """A lease that no store granted."""
    return Lease(stream=STREAM, owner="a", fence=fence, expires_at=MOMENT)


class CheckpointerFixtures:
    """The fixtures that a subclass overrides.

    Attributes:
        short: A lease that `let_pass` can let run out; tens of milliseconds for a store that
            goes by the time of its server.
    """

    short: ClassVar[timedelta] = timedelta(milliseconds=30)

    @pytest.fixture
    def store(self) -> Checkpointer:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], Checkpointer]:
        """Opens a second handle on what `store` keeps, as another worker would."""
        raise NotImplementedError

    @pytest.fixture
    def let_pass(self) -> Passing:
        """Lets time pass for the store; override it with one that moves the store's clock."""
        return lambda duration: SystemClock().sleep(duration.total_seconds())

    @pytest.fixture
    def set_clock(self) -> Passing:
        """Sets the store's clock by so much, on or back; override it where a store takes one."""
        pytest.skip("this store takes no clock")

    @pytest.fixture
    def away(self) -> Checkpointer:
        """A store whose back end cannot be reached."""
        pytest.skip("this store has no back end that could be away")
