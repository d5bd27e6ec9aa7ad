"""Every kind of change while syncs are killed; the short form of `history.py`."""

from __future__ import annotations

from faults.history import KilledHistory


def test_a_mirror_equals_the_account_after_all(store):
    """And the sink was told of nothing that did not happen."""
    history = KilledHistory(store, seed=3)

    actions = history.run(changes=400, kills=4)

    assert history.kills >= 4
    assert {"Created", "Updated", "Deleted", "Merged"} <= {one.kind.value for one in actions}
