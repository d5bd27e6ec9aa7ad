"""Bounded queues: nothing is stuck, nothing overtakes, and a dead side frees the other."""

import threading

import pytest

from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync.testing import ManualClock


def started(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_items_come_out_in_order_until_it_is_finished():
    """What waits is still handed out after the end was announced."""
    queue = BoundedQueue(10, 100)
    for number in range(5):
        queue.put(number)
    queue.finish()

    assert list(queue) == [0, 1, 2, 3, 4]


def test_an_item_heavier_than_the_bound_passes_alone():
    """A page larger than the memory bound may not stop the stream."""
    queue = BoundedQueue(1, 1)
    queue.put("large", weight=50, size=50)
    queue.finish()

    assert list(queue) == ["large"]


@pytest.mark.parametrize(("weight", "size"), [(2, 0), (0, 20)])
def test_a_full_queue_makes_the_other_side_wait(weight, size):
    """By weight and by bytes."""
    queue = BoundedQueue(3, 30)
    queue.put("first", weight=2, size=20)
    entered = threading.Event()

    def second():
        queue.put("second", weight=weight, size=size)
        entered.set()
        queue.finish()

    thread = started(second)
    assert not entered.wait(0.05)
    assert list(queue) == ["first", "second"]
    thread.join(300)
    assert entered.is_set()


def test_nobody_waits_for_a_side_that_has_gone():
    """Whoever is blocked in put is told."""
    queue = BoundedQueue(1, 1)
    queue.put("first")
    told = threading.Event()

    def second():
        with pytest.raises(QueueClosedError):
            queue.put("second")
        told.set()

    thread = started(second)
    queue.abandon()
    thread.join(300)
    assert told.is_set()
    assert list(queue) == []


@pytest.mark.parametrize(("step", "groups"), [(0, [[1, 2, 3], [4, 5]]), (5, [[1, 2], [3, 4], [5]])])
def test_a_group_goes_on_when_it_is_enough_or_old(step, groups):
    """Its age counts from when its first item was taken, also while items never stop coming."""

    class Passing(ManualClock):
        def monotonic(self):
            self.advance(step)
            return super().monotonic()

    queue = BoundedQueue(10, 100)
    for number in range(1, 6):
        queue.put(number)
    queue.finish()

    found = queue.groups(enough=lambda items: len(items) == 3, max_age=5, clock=Passing())

    assert list(found) == groups


def test_a_group_that_waits_goes_on_when_the_time_comes():
    """Whoever waits for more items is woken by the clock, and not before."""
    clock = ManualClock()
    queue = BoundedQueue(10, 100)
    queue.put("first")
    found = []
    handed_out = threading.Event()

    def take():
        for group in queue.groups(enough=lambda items: False, max_age=60, clock=clock):
            found.append(group)
            handed_out.set()

    thread = started(take)
    clock.advance(59)
    assert not handed_out.wait(0.05)
    for _ in range(30_000):  # until the other thread waits for the time
        clock.advance(60)
        if handed_out.wait(0.01):
            break
    queue.put("second")
    queue.finish()
    thread.join(300)

    assert found == [["first"], ["second"]]
