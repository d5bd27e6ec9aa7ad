"""Random accounts, random edits while they are read, random hostility: the sink equals HubSpot."""

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
# They follow associations, which move no modified date.
DERIVED = ("associatedcompanyid", "num_associated_contacts")
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
            archives_per_call=draw(st.sampled_from([0.0, 0.2])),
        ),
        **{lies: draw(SHARE)},
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(1, 10**6),
    contacts=st.integers(0, 900),
    companies=st.integers(0, 250),
    hostility=hostilities(),
    pauses=st.lists(st.integers(1, 3_000), min_size=1, max_size=4),
    batch_size=st.sampled_from([50, 100, 1_000]),
    cuts=st.lists(
        st.tuples(st.sampled_from(["list", "search", "associations"]), st.integers(0, 12)),
        max_size=3,
    ),
)
def test_the_sink_ends_equal_to_the_truth(
    seed, contacts, companies, hostility, pauses, batch_size, cuts
):
    """After any number of runs, some of them cut off: each change and each creation once."""
    clock = ManualClock(seed=seed)
    with HubSpotEmulator(
        seed=seed, contacts=contacts, companies=companies, clock=clock, hostility=hostility
    ) as emulator:
        host = Host(emulator, clock)
        sync_settings = SyncSettings(batch_size=batch_size, lookback=LOOKBACK)
        for pause in pauses:
            for route, skip in cuts:
                emulator.faults.add(Fault(route=route, status=404, skip=skip))
            run(host, sync_settings)
            clock.advance(pause)
            for object_type in ("contacts", "companies"):
                emulator.touch(object_type, count=min(7, len(emulator.records(object_type))))
        clock.advance(LOOKBACK.total_seconds() / 2)
        # What the list does goes on: a backfill that was cut off is finished under the same order.
        emulator.hostility = evolve(
            hostility, index_lag=0, meddling=None, missing_rows=0, total_drift=0, stray_rows=0
        )
        emulator.settle_index()
        emulator.faults.clear()

        report = run(host, sync_settings)

        assert report.completed
        check(host)


def run(host, sync_settings):
    """One run; where it is cut off, that is the only thing that ends it."""
    report = host.engine(settings=sync_settings).sync(ACCOUNT)
    assert all(isinstance(one.error, RequestRefusedError | None) for one in report.streams)
    host.clock.advance(1)
    return report


def check(host):
    """Every record that is there in its newest version; no action and no creation twice."""
    ids = Counter(action.action_id for action in host.sink.actions)
    assert [action_id for action_id, times in ids.items() if times > 1] == []
    newest, created = {}, Counter()
    for action in host.sink.actions:
        key = action.object_type, action.object_id
        assert action.version > newest.get(key, -1)
        newest[key] = action.version
        created[key] += action.kind is ActionKind.CREATED
    assert set(created.values()) <= {1}
    for object_type in ("contacts", "companies"):
        for object_id, held in host.emulator.records(object_type).items():
            version = round(held.modified_at.timestamp() * 1_000)
            assert newest.get((object_type, object_id)) == version, (object_type, object_id)
    for action in host.sink.actions[-30:]:
        held = host.emulator.records(action.object_type).get(action.object_id)
        if held is not None and newest[action.object_type, action.object_id] == action.version:
            truth = truth_of(host.emulator, action.object_type, action.object_id)
            assert {**action.properties, **dict.fromkeys(DERIVED)} == {
                **truth,
                **dict.fromkeys(DERIVED),
            }
