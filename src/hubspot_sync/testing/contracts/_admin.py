"""Cases of the `ErrorQueue` contract for people who look after it: `ErrorQueueAdmin`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from msgspec.structs import replace

from hubspot_sync.models import (
    AccountKey,
    RejectedAction,
    RejectedCounts,
    RejectedSelection,
    StreamKey,
)
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STREAM,
    VERSION,
    action,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubspot_sync.models import Action

LATER: Final = MOMENT + timedelta(hours=1)
EVERYTHING: Final = RejectedSelection(account=ACCOUNT)
COMPANIES: Final = StreamKey(ACCOUNT, "companies")


def failure(
    object_id: str = "1",
    version: int = VERSION,
    *,
    of: Action | None = None,
    next_at: datetime | None = LATER,
    **changes: Any,
) -> RejectedAction:
    """A failure that waits until `LATER`, or what *changes* make of it."""
    values: dict[str, Any] = {
        "reason": "it has no e-mail",
        "error": "ActionRejectedError",
        "attempts": 2,
        "first_at": MOMENT,
        "last_at": MOMENT + timedelta(minutes=1),
        **changes,
    }
    return RejectedAction(action=of or action(object_id, version), next_at=next_at, **values)


def mixed() -> list[RejectedAction]:
    """Failures that differ in what they can be selected by, and two of other accounts."""
    return [
        failure("1"),
        failure("2", next_at=None),
        failure("3", reason="it is too large"),
        failure(of=action("1", object_type="companies")),
        failure(of=action("1", account=NEIGHBOUR)),
        failure(of=action("1", account=OTHER_DOMAIN)),
    ]


def walk(
    queue: Any, selection: RejectedSelection = EVERYTHING, limit: int = 100
) -> list[RejectedAction]:
    """All failures that fit *selection*, page by page."""
    found: list[RejectedAction] = []
    page: Sequence[RejectedAction] = queue.browse(selection, limit=limit)
    while page:
        assert len(page) <= limit
        found.extend(page)
        page = queue.browse(selection, limit=limit, after=page[-1])
    return found


def places(failures: Sequence[RejectedAction]) -> list[str]:
    """The objects of *failures*, such as "contacts 1", sorted."""
    return sorted(f"{one.action.object_type} {one.action.object_id}" for one in failures)


SELECTIONS: Final = {
    "all": (EVERYTHING, ["companies 1", "contacts 1", "contacts 2", "contacts 3"]),
    "a type": (RejectedSelection(account=ACCOUNT, object_type="0-2"), ["companies 1"]),
    "a reason": (RejectedSelection(account=ACCOUNT, reason="it is too large"), ["contacts 3"]),
    "a part of a reason": (RejectedSelection(account=ACCOUNT, reason="it is"), []),
    "objects": (
        RejectedSelection(account=ACCOUNT, object_ids=["1", "3", "9"]),
        ["companies 1", "contacts 1", "contacts 3"],
    ),
    "no objects": (RejectedSelection(account=ACCOUNT, object_ids=[]), []),
    "the parked": (RejectedSelection(account=ACCOUNT, parked=True), ["contacts 2"]),
    "the living": (
        RejectedSelection(account=ACCOUNT, parked=False),
        ["companies 1", "contacts 1", "contacts 3"],
    ),
    "several things": (
        RejectedSelection(account=ACCOUNT, object_type="contacts", parked=False, object_ids=["2"]),
        [],
    ),
}


class AdminCases:
    """What people see and clean up.

    Attributes:
        has_admin: Whether the queue also has what an `ErrorQueueAdmin` has.
    """

    has_admin: ClassVar[bool] = True

    @pytest.fixture
    def store(self) -> Any:
        """An empty queue."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], Any]:
        """Opens a second handle on what `store` keeps, as another worker would."""
        raise NotImplementedError

    @pytest.fixture
    def _admin(self) -> None:
        if not self.has_admin:
            pytest.skip("this queue has nothing of an ErrorQueueAdmin")

    @pytest.mark.parametrize(("selection", "expected"), SELECTIONS.values(), ids=SELECTIONS)
    def test_what_fits_is_found_and_counted(
        self, store: Any, selection: RejectedSelection, expected: list[str]
    ) -> None:
        """By type, reason, objects, parked or not, and all of it; never of another account."""
        store.put(mixed())

        found = walk(store, selection)

        assert expected == places(found)
        assert all(one.action.account == ACCOUNT for one in found)
        counted = store.count(selection)
        assert {kind: sum(kind in place for place in expected) for kind in counted} == counted
        assert sum(counted.values()) == len(expected)

    @pytest.mark.usefixtures("_admin")
    def test_many_accounts_are_counted(self, store: Any) -> None:
        """By stream, those that wait and the parked ones; of these accounts and of no others."""
        store.put(mixed())

        found = store.tally([ACCOUNT, OTHER_DOMAIN, ACCOUNT])

        assert found == {
            COMPANIES: RejectedCounts(waiting=1),
            STREAM: RejectedCounts(waiting=2, parked=1),
            StreamKey(OTHER_DOMAIN, "contacts"): RejectedCounts(waiting=1),
        }
        assert store.tally([]) == {}

    @pytest.mark.usefixtures("_admin")
    @pytest.mark.parametrize(("selection", "expected"), SELECTIONS.values(), ids=SELECTIONS)
    def test_what_fits_is_dropped(
        self, store: Any, selection: RejectedSelection, expected: list[str]
    ) -> None:
        """And nothing else; the second time there is nothing left."""
        store.put(mixed())

        assert len(expected) == store.drop(selection)

        assert store.drop(selection) == 0
        assert sorted(set(SELECTIONS["all"][1]) - set(expected)) == places(walk(store))
        for account in (NEIGHBOUR, OTHER_DOMAIN):
            assert store.count(RejectedSelection(account=account)) == {"contacts": 1}

    @pytest.mark.usefixtures("_admin")
    def test_an_account_is_dropped(self, store: Any) -> None:
        """All of it, large or not, and nothing of one whose name begins alike."""
        large = action("7", properties={"name": "x" * 17_000_000})
        others = [AccountKey(name, "1") for name in ("acme:62515", "acme:62515:contacts")]
        store.put([*mixed(), failure(of=large)])
        store.put([failure(of=replace(large, account=account)) for account in others])

        assert store.drop(EVERYTHING) == 5

        assert walk(store) == []
        for account in others:
            (kept,) = walk(store, RejectedSelection(account=account))
            assert dict(kept.action.properties) == dict(large.properties)

    @pytest.mark.usefixtures("_admin")
    def test_a_dropped_object_can_come_again(self, store: Any) -> None:
        """In whatever version."""
        store.put([failure(version=VERSION)])
        store.drop(EVERYTHING)

        store.put([failure(version=VERSION - 1)])

        assert store.held(STREAM, ["1"]) == {"1": VERSION - 1}
