"""Bounded queues: nothing is stuck, nothing overtakes, and a dead side frees the other."""

import threading

import pytest

from hubspot_sync._queue import BoundedQueue, QueueClosedError


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
