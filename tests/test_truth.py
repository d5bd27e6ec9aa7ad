"""Random accounts, random edits while they are read, random hostility: the sink equals HubSpot.

What moves no modified date, computed values and associations, is equal after a reconcile pass.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubspot_sync import ActionKind, RequestRefusedError, SyncSettings
from hubspot_sync.testing import Fault, HubSpotEmulator, ManualClock
from hubspot_sync.testing.emulator import Hostility, Meddling
from support import ACCOUNT, Host, truth_of

LOOKBACK = timedelta(minutes=5)
SHARE = st.sampled_from([0.0, 0.0, 0.1, 0.3])


@st.composite
def hostilities(draw):
    """Anything that the emulator can do.

    A row left out and a total that is wrong by just that one row would agree; no reader could
    tell, so a page does not lie in both ways at once.
    """
    lies = draw(st.sampled_from(["missing_rows", "total_drift", "stray_rows"]))
    return Hostility(
        seed=draw(st.integers(1, 10**6)),
        index_lag=(0, draw(st.integers(0, int(LOOKBACK.total_seconds()) - 10))),
        search_disorder=draw(SHARE),
        short_pages=draw(SHARE),
        empty_pages=draw(SHARE),
        repeated_rows=draw(SHARE),
        list_disorder=draw(st.sampled_from([0.0, 0.0, 0.2])),
        list_stragglers=draw(st.sampled_from([0.0, 0.0, 0.01])),
        list_repeats=draw(st.sampled_from([0.0, 0.0, 0.2])),
        opaque_after=draw(st.sampled_from([False, False, True])),
        repeated_edges=draw(SHARE),
        inline_page=draw(st.sampled_from([None, 1, 3])),
        association_page=draw(st.sampled_from([None, 2])),
        dropped_inputs=draw(st.sampled_from([0.0, 0.2])),
        meddling=Meddling(
            edits_per_call=draw(st.sampled_from([0.0, 0.5, 3.0])),
            creates_per_call=draw(st.sampled_from([0.0, 0.3])),
            recalculations_per_call=draw(st.sampled_from([0.0, 2.0])),
            archives_per_call=draw(st.sampled_from([0.0, 0.2])),
            associations_per_call=draw(st.sampled_from([0.0, 0.5])),
        ),
        **{lies: draw(SHARE)},
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(1, 10**6),
    contacts=st.integers(0, 900),
    companies=st.integers(0, 250),
    hostility=hostilities(),
    pauses=st.lists(st.tuples(st.integers(1, 3_000), st.booleans()), min_size=1, max_size=4),
    reconcile_every=st.sampled_from([None, timedelta(minutes=1), timedelta(minutes=30)]),
    batch_size=st.sampled_from([50, 100, 1_000]),
    cuts=st.lists(
        st.tuples(st.sampled_from(["list", "search", "associations"]), st.integers(0, 12)),
        max_size=3,
    ),
)
def test_the_sink_ends_equal_to_the_truth(
    seed, contacts, companies, hostility, pauses, reconcile_every, batch_size, cuts
):
    """After any number of runs, some of them cut off: each change and each creation once."""
    clock = ManualClock(seed=seed)
    with HubSpotEmulator(
        seed=seed, contacts=contacts, companies=companies, clock=clock, hostility=hostility
    ) as emulator:
        host = Host(emulator, clock)
        sync_settings = SyncSettings(
            batch_size=batch_size, lookback=LOOKBACK, reconcile_every=reconcile_every
        )
        for pause, on_demand in pauses:
            for route, skip in cuts:
                emulator.faults.add(Fault(route=route, status=404, skip=skip))
            run(host, sync_settings, reconcile=on_demand)
            clock.advance(pause)
            for object_type in ("contacts", "companies"):
                some = min(7, len(emulator.records(object_type)))
                emulator.touch(object_type, count=some)
                emulator.recalculate(object_type, count=some)
        clock.advance(LOOKBACK.total_seconds() / 2)
        # What the list does goes on: a backfill that was cut off is finished under the same order.
        emulator.hostility = evolve(
            hostility, index_lag=0, meddling=None, missing_rows=0, total_drift=0, stray_rows=0
        )
        emulator.settle_index()
        emulator.faults.clear()

        report = run(host, sync_settings)

        assert report.completed
        check_versions(host)

        report = run(host, sync_settings, reconcile=True)

        assert report.completed
        check_versions(host)
        check_values(host)
        told = len(host.sink.actions)
        assert run(host, sync_settings, reconcile=True).completed
        assert len(host.sink.actions) == told


def run(host, sync_settings, *, reconcile=False):
    """One run; where it is cut off, that is the only thing that ends it."""
    report = host.engine(settings=sync_settings).sync(ACCOUNT, reconcile=reconcile)
    assert all(isinstance(one.error, RequestRefusedError | None) for one in report.streams)
    host.clock.advance(1)
    return report


def check_versions(host):
    """Every record that is there in its newest version; no action and no creation twice."""
    ids = Counter(action.action_id for action in host.sink.actions)
    assert [action_id for action_id, times in ids.items() if times > 1] == []
    newest, created = {}, Counter()
    for action in host.sink.actions:
        key = action.object_type, action.object_id
        assert (action.version, action.variant) > newest.get(key, (-1, 0))
        newest[key] = action.version, action.variant
        created[key] += action.kind is ActionKind.CREATED
    assert set(created.values()) <= {1}
    for object_type in ("contacts", "companies"):
        for object_id, held in host.emulator.records(object_type).items():
            version = round(held.modified_at.timestamp() * 1_000)
            assert newest[object_type, object_id][0] == version, (object_type, object_id)


def check_values(host):
    """The last that was told of every record that is there is what it holds."""
    last = {(one.object_type, one.object_id): one for one in host.sink.actions}
    for object_type in ("contacts", "companies"):
        for object_id, held in host.emulator.records(object_type).items():
            action = last[object_type, object_id]
            assert dict(action.properties) == truth_of(host.emulator, object_type, object_id)
            if object_type == "contacts":
                edges = {
                    edge.object_id: {kind.type_id for kind in edge.types}
                    for edge in action.associations["companies"]
                }
                assert edges == {
                    company: {kind.type_id for kind in kinds}
                    for company, kinds in held.associations.get("companies", {}).items()
                }
