"""What every `ErrorQueue` has to keep."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import AccountKey, RejectedSelection, StreamKey
from hubspot_sync.testing.contracts._admin import (
    COMPANIES,
    EVERYTHING,
    LATER,
    AdminCases,
    failure,
    mixed,
    places,
    walk,
)
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    ALL_KINDS,
    KATHMANDU,
    MOMENT,
    STRANGE_ACTIONS,
    STRANGE_NAMES,
    STREAM,
    VERSION,
    action,
    at_once,
    creation,
    rich_action,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import ErrorQueue
    from hubspot_sync.models import Action, Value

_SECOND = timedelta(seconds=1)
_KEPT = {
    "rich": rich_action(),
    "every kind of value": creation(properties=dict(ALL_KINDS)),
    "a variant": action(variant=VERSION + 7),
    "strange names": action(properties={name: name for name in STRANGE_NAMES}),
    "thousands of digits": action(properties={"number": 7**9_000}),
    "the first year": action(occurred_at=MOMENT.replace(year=1, month=1, day=1, tzinfo=KATHMANDU)),
    **STRANGE_ACTIONS,
}


class ErrorQueueContract(AdminCases):
    """Subclass it and override `store` and `reopen`; `away` where it applies.

    A queue without what an `ErrorQueueAdmin` has sets `has_admin` to False.
    """

    @pytest.fixture
    def away(self) -> ErrorQueue:
        """A queue whose back end cannot be reached."""
        pytest.skip("this queue has no back end that could be away")

    def test_nothing_is_a_no_op(self, store: ErrorQueue) -> None:
        """An empty queue has nothing, and nothing changes it."""
        store.put([])
        store.settle(STREAM, {})
        store.settle(STREAM, {"1": VERSION})

        assert list(store.browse(EVERYTHING, limit=10)) == []
        assert list(store.due(STREAM, LATER, limit=10)) == []
        assert store.held(STREAM, []) == {}
        assert store.held(STREAM, ["1"]) == {}
        assert store.count(EVERYTHING) == {}

    @pytest.mark.parametrize("kept", _KEPT.values(), ids=_KEPT)
    def test_an_action_is_kept_whole(self, store: ErrorQueue, kept: Action) -> None:
        """Every value in its type, however strange or large; equal to what was refused."""
        store.put([failure(of=kept)])
        store.put([failure(of=kept)])

        (found,) = store.browse(EVERYTHING, limit=10)
        assert failure(of=kept) == found
        values = found.action.properties
        assert [type(value) for value in kept.properties.values()] == [
            type(values[name]) for name in kept.properties
        ]
        assert [found] == list(store.due(STREAM, LATER, limit=10))

    def test_a_failure_is_kept_whole(self, store: ErrorQueue) -> None:
        """Reason, class, attempts, and instants to the millisecond, aware; parked actions too."""
        told = failure(
            reason="Žluť\0 株 \ud800\n" + "x" * 2_000,
            first_at=MOMENT.astimezone(KATHMANDU),
            last_at=MOMENT.replace(microsecond=999_999),
        )
        parked = failure("2", error="KeyError", next_at=None)

        store.put([told, parked])

        assert [told, parked] == walk(store)
        assert all(one.first_at.tzinfo is not None for one in walk(store))
        assert [one.parked for one in walk(store)] == [False, True]

    def test_the_newest_version_has_the_place(self, store: ErrorQueue) -> None:
        """A later call replaces the same version, and an older version changes nothing."""
        newest = failure(version=VERSION + 1, attempts=1, reason="newest")
        store.put([failure(reason="first")])
        store.put([failure(reason="second")])
        assert [one.reason for one in walk(store)] == ["second"]

        store.put([newest])
        store.put([failure(reason="late"), failure("2")])

        assert [newest, failure("2")] == walk(store)
        assert store.held(STREAM, ["1", "2", "3"]) == {"1": VERSION + 1, "2": VERSION}

    def test_a_variant_takes_the_place_of_its_version(self, store: ErrorQueue) -> None:
        """Whoever gives it has a reason to; an older version stays out whatever its variant."""
        newest = failure(of=action(variant=7, properties={"score": 1}))
        older = failure(of=action(version=VERSION - 1, variant=9))
        store.put([failure()])

        store.put([newest])
        store.put([older])

        assert [newest] == walk(store)
        assert store.held(STREAM, ["1"]) == {"1": VERSION}

    def test_a_large_one_makes_room_for_a_small_one(self, store: ErrorQueue) -> None:
        """And the other way round."""
        large = {"name": "x" * 17_000_000}
        steps = [
            failure(of=action(version=VERSION, properties=large)),
            failure(version=VERSION + 1),
            failure(of=action(version=VERSION + 2, properties=large)),
        ]
        for step in steps:
            store.put([step])

            assert [step] == walk(store)

        store.settle(STREAM, {"1": VERSION + 2})
        assert walk(store) == []

    def test_a_walk_over_large_ones_meets_them_all(self, store: ErrorQueue) -> None:
        """A page may be short because of their size; only an empty one is the end."""
        large = [action(str(n), properties={"name": "x" * 17_000_000}) for n in range(1, 5)]
        store.put([failure(of=one) for one in large])

        assert places(walk(store)) == [f"contacts {n}" for n in range(1, 5)]
        due = store.due(STREAM, LATER, limit=9)
        assert places(due) == [f"contacts {n}" for n in range(1, 1 + len(due))] != []

    def test_what_is_due_comes_in_the_order_of_waiting(self, store: ErrorQueue) -> None:
        """Not too early, never a parked action, and page by page as it is settled or put off."""
        store.put([failure(str(n), next_at=LATER - n * _SECOND) for n in range(5)])
        store.put([failure("9", next_at=None)])

        now = LATER - _SECOND
        page = store.due(STREAM, now, limit=2)
        assert [one.action.object_id for one in page] == ["4", "3"]
        store.settle(STREAM, {"4": VERSION})
        store.put([failure("3", next_at=LATER + _SECOND)])

        assert [one.action.object_id for one in store.due(STREAM, now, limit=9)] == ["2", "1"]
        assert list(store.due(COMPANIES, now, limit=9)) == []

    def test_what_a_wrong_clock_put_off_is_due(self, store: ErrorQueue) -> None:
        """What was refused in the future, and is to wait until then, does not wait."""
        years, day = timedelta(days=3653), timedelta(days=1)
        wrong = failure("1", last_at=LATER + years, next_at=LATER + years + day)
        asked_for = failure("2", last_at=LATER, next_at=LATER + years)
        soon = failure("3", last_at=LATER + years, next_at=LATER + day)
        parked = failure("4", last_at=LATER + years, next_at=None)
        store.put([wrong, asked_for, soon, parked])

        assert [wrong] == list(store.due(STREAM, LATER, limit=9))
        assert [one for one in walk(store) if one.is_due(LATER)] == [wrong]

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_a_walk_meets_everything_once(self, store: ErrorQueue, limit: int) -> None:
        """In a fixed order, streams one after the other, while others are settled meanwhile."""
        made = [failure(str(n)) for n in range(12)]
        made += [failure(of=action(str(n), object_type="companies")) for n in range(3)]
        made += [
            failure(of=action("5", object_type="2-1")),
            failure(of=action("5", object_type="2")),
        ]
        store.put(made)

        met = walk(store, limit=limit)

        assert places(made) == places(met)
        types = [one.action.object_type for one in met]
        assert len(set(types)) == sum(
            here != before for here, before in zip(types, ["", *types], strict=False)
        )
        first = store.browse(EVERYTHING, limit=1)
        store.settle(first[0].stream, {first[0].action.object_id: VERSION})
        rest = store.browse(EVERYTHING, limit=100, after=first[0])
        assert met[1:] == list(rest)

    def test_settling_spares_what_is_newer(self, store: ErrorQueue) -> None:
        """An object is forgotten up to the version that was stored; in its own stream only."""
        store.put([failure("1"), failure("2", VERSION + 1), failure("3"), *mixed()[3:]])

        store.settle(STREAM, {"1": VERSION, "2": VERSION, "3": VERSION + 5, "4": VERSION})
        store.settle(STREAM, {"1": VERSION})

        assert store.held(STREAM, ["1", "2", "3"]) == {"2": VERSION + 1}
        assert store.held(COMPANIES, ["1", "2", "3"]) == {"1": VERSION}
        assert store.count(EVERYTHING) == {"companies": 1, "contacts": 1}

    def test_whatever_version_is_held_is_settled(self, store: ErrorQueue) -> None:
        """By the version that is held, or a later one; in this stream only, large or not."""
        large = action("7", properties={"name": "x" * 17_000_000})
        store.put([*mixed(), failure("12"), failure("8", 2**63), failure(of=large)])

        wanted = ["1", "2", "7", "8", "9"]
        store.settle(STREAM, {**dict.fromkeys(wanted, 2**63 - 1), **store.held(STREAM, wanted)})

        left = {"12": VERSION, "3": VERSION}
        assert left == store.held(STREAM, ["1", "2", "3", "7", "8", "9", "12"])
        assert store.count(EVERYTHING) == {"companies": 1, "contacts": 2}

    def test_any_name_of_a_domain_is_kept_apart(self, store: ErrorQueue) -> None:
        """Punctuation, scripts and look-alikes in domain ids are names like any other."""
        accounts = [AccountKey(name, "1") for name in (*STRANGE_NAMES, "a", "a:1", "a:1:contacts")]
        store.put([failure(of=action(account=account)) for account in accounts])

        for account in accounts:
            (found,) = store.browse(RejectedSelection(account=account), limit=9)
            assert account == found.action.account
            assert store.held(StreamKey(account, "contacts"), ["1"]) == {"1": VERSION}
        store.settle(StreamKey(accounts[0], "contacts"), {"1": VERSION})
        assert [{}, *[{"contacts": 1}] * (len(accounts) - 1)] == [
            store.count(RejectedSelection(account=account)) for account in accounts
        ]

    def test_what_is_stored_is_a_copy(self, store: ErrorQueue) -> None:
        """Changing the caller's mapping, or what was read, does not change what is stored."""
        properties: dict[str, Value] = {"email": "first@example.com"}
        store.put([failure(of=action(properties=properties))])

        properties["email"] = "changed"
        for kept in walk(store):
            if isinstance(kept.action.properties, dict):
                kept.action.properties["email"] = "changed"

        assert [dict(one.action.properties) for one in walk(store)] == [
            {"email": "first@example.com"}
        ]

    def test_many_at_once(self, store: ErrorQueue) -> None:
        """2,500 are stored, found, and settled together."""
        made = [failure(str(n)) for n in range(2_500)]
        versions = {one.action.object_id: VERSION for one in made}

        store.put(made)

        assert store.count(EVERYTHING) == {"contacts": 2_500}
        assert versions == store.held(STREAM, list(versions))
        store.settle(STREAM, versions)
        assert store.count(EVERYTHING) == {}

    def test_of_racing_writers_the_newest_version_stays(
        self, store: ErrorQueue, reopen: Callable[[], ErrorQueue]
    ) -> None:
        """Eight threads with eight versions of the same objects."""
        handles = (store, reopen())

        at_once(
            lambda number: handles[number % 2].put(
                [failure(str(n), VERSION + number) for n in range(20)]
            )
        )

        assert {str(n): VERSION + 7 for n in range(20)} == store.held(
            STREAM, [str(n) for n in range(20)]
        )

    def test_another_handle_sees_everything(
        self, store: ErrorQueue, reopen: Callable[[], ErrorQueue]
    ) -> None:
        """What one worker put another one finds."""
        store.put(mixed())

        assert walk(store) == walk(reopen())
        assert list(store.due(STREAM, LATER, limit=9)) == list(reopen().due(STREAM, LATER, limit=9))

    def test_a_back_end_that_is_away_is_an_error_of_ours(self, away: ErrorQueue) -> None:
        """Every call that cannot be made raises `StoreUnavailableError`."""
        for call in (
            lambda: away.put([failure()]),
            lambda: away.due(STREAM, MOMENT, limit=1),
            lambda: away.browse(EVERYTHING, limit=1),
            lambda: away.held(STREAM, ["1"]),
            lambda: away.settle(STREAM, {"1": VERSION}),
            lambda: away.count(RejectedSelection(account=ACCOUNT)),
        ):
            with pytest.raises(StoreUnavailableError):
                call()
