"""OpenTelemetry: what a real SDK and a real Prometheus exposition get to see."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import REGISTRY, start_http_server

from hubspot_sync import ConfigurationError, HubSpotUnavailableError, StreamSettings, SyncSettings
from hubspot_sync._clock import SystemClock
from hubspot_sync.integrations.otel import HealthGauges, OpenTelemetryObserver
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import ManualClock, ScriptedSource
from kit.scripted import record, skipped
from kit.support import engine_on

HOUR = timedelta(hours=1)
IDS = {"hubspot_sync.domain_id": "acme", "hubspot_sync.account_id": "62515"}


class Telemetry:
    """A real SDK that keeps what it is told."""

    def __init__(self):
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def observer(self, **how):
        return OpenTelemetryObserver(
            meter_provider=self.meters, tracer_provider=self.tracers, **how
        )

    def points(self):
        """All points by the name of their metric, each with its attributes and its value."""
        found = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = [
                        (dict(point.attributes), getattr(point, "value", None) or point)
                        for point in metric.data.data_points
                    ]
        return found

    def value(self, name, **attributes):
        """The sum of the points with these attributes."""
        wanted = {f"hubspot_sync.{key}": value for key, value in attributes.items()}
        values = [
            value if isinstance(value, (int, float)) else 0
            for found, value in self.points().get(f"hubspot_sync.{name}", ())
            if wanted.items() <= found.items()
        ]
        return sum(values)


@pytest.fixture
def telemetry():
    made = Telemetry()
    yield made
    made.meters.shutdown()
    made.tracers.shutdown()


@pytest.fixture
def clock():
    return ManualClock()


def engine_with(clock, *observers, rows=None, streams=("contacts",), **parts):
    """An engine with one account that reads *rows*."""
    source = ScriptedSource(
        rows or {"contacts": [[[record("1"), record("2"), skipped("3")]]]}, clock=clock
    )
    engine = engine_on(
        MemoryStores(clock=clock),
        open_source=source,
        clock=clock,
        observers=observers,
        settings=SyncSettings(max_rejected_share=1.0),
        **parts,
    )
    engine.domain("acme").add("62515", streams=[StreamSettings(one) for one in streams])
    return engine


class TestObserver:
    """Metrics and traces of runs."""

    def test_records_are_counted_by_what_became_of_them(self, clock, telemetry):
        """The sums are those of the report."""
        refuse = [lambda action: "no" if action.object_id == "2" else None]
        engine = engine_with(clock, telemetry.observer(), validators=refuse)

        counts = engine.sync_due().counts

        for outcome in ("delivered", "rejected", "skipped", "unchanged"):
            told = telemetry.value("records", object_type="contacts", outcome=outcome)
            assert told == getattr(counts, outcome)
        assert counts.delivered == counts.rejected == counts.skipped == 1
        assert telemetry.value("runs", status="completed") == 1
        ((attributes, point),) = telemetry.points()["hubspot_sync.stream.duration"]
        assert point.count == 1
        assert attributes == {
            "hubspot_sync.object_type": "contacts",
            "hubspot_sync.mode": "backfill",
            "hubspot_sync.status": "completed",
        }

    def test_calls_and_retries_of_a_real_account(self, telemetry, hubspot_emulator):
        """Calls by endpoint class, as the report has them."""
        from kit.fleets import FleetHost

        emulator = hubspot_emulator(account_id="1")
        host = FleetHost(emulator)
        host.add("acme", "2")
        engine = host.engine(observers=[telemetry.observer()])

        report = engine.sync_due()

        assert report.api_calls
        for endpoint, number in report.api_calls.items():
            assert telemetry.value("calls", endpoint=endpoint) == number

    def test_what_ended_a_stream_is_counted_by_its_class(self, clock, telemetry):
        """And its spans say so, without the text of the error."""
        rows = {"contacts": [[HubSpotUnavailableError("HubSpot is away")]]}
        engine = engine_with(clock, telemetry.observer(), rows=rows)

        engine.sync_due()

        ((attributes, value),) = telemetry.points()["hubspot_sync.errors"]
        assert (attributes["error.type"], value) == ("HubSpotUnavailableError", 1)
        for span in telemetry.exporter.get_finished_spans():
            assert span.status.status_code is StatusCode.ERROR
            assert span.status.description is None
            assert span.attributes["error.type"] == "HubSpotUnavailableError"

    def test_a_trace_has_the_run_and_its_streams(self, clock, telemetry):
        """Run, then each stream as its child, with what it read."""
        engine = engine_with(clock, telemetry.observer(), streams=("contacts", "deals"))

        engine.sync_due()

        contacts, deals, run = telemetry.exporter.get_finished_spans()
        assert [contacts.name, deals.name, run.name] == [
            "hubspot_sync.stream",
            "hubspot_sync.stream",
            "hubspot_sync.run",
        ]
        assert run.parent is None
        for stream in (contacts, deals):
            assert stream.parent.span_id == run.context.span_id
            assert stream.context.trace_id == run.context.trace_id
        assert contacts.attributes["hubspot_sync.delivered"] == 2
        assert contacts.attributes["hubspot_sync.mode"] == "backfill"
        assert run.status.status_code is StatusCode.UNSET

    def test_a_run_belongs_to_the_trace_of_the_host(self, clock, telemetry):
        """As one of a task or a request."""
        engine = engine_with(clock, telemetry.observer())
        tracer = telemetry.tracers.get_tracer("host")

        with tracer.start_as_current_span("task") as task:
            engine.domain("acme").sync("62515")

        (run,) = [
            one for one in telemetry.exporter.get_finished_spans() if one.name == "hubspot_sync.run"
        ]
        assert run.parent.span_id == task.get_span_context().span_id

    def test_no_account_is_named_by_default(self, clock, telemetry):
        """Neither its ids nor its custom types, nor in errors."""
        rows = {"p62515_pets": [[HubSpotUnavailableError("acme/62515 is away")]]}
        streams = ("contacts", "p62515_pets")
        engine = engine_with(clock, telemetry.observer(), rows=rows, streams=streams)
        gauges = HealthGauges(engine, meter_provider=telemetry.meters)

        engine.sync_due()

        assert gauges is not None
        told = str(telemetry.points()) + "".join(
            span.to_json() for span in telemetry.exporter.get_finished_spans()
        )
        assert "custom" in told
        assert "62515" not in told
        assert "acme" not in told

    def test_accounts_are_named_where_that_is_wanted(self, clock, telemetry):
        """In metrics, and in traces."""
        engine = engine_with(clock, telemetry.observer(accounts=True))

        engine.sync_due()

        for points in telemetry.points().values():
            assert all(attributes.items() >= IDS.items() for attributes, _ in points)
        (_, run) = telemetry.exporter.get_finished_spans()
        assert run.attributes.items() >= IDS.items()

    def test_without_an_sdk_nothing_happens(self, clock):
        """The API alone records nothing, and nothing breaks."""
        engine = engine_with(clock, OpenTelemetryObserver())

        assert engine.sync_due().completed

    def test_wrong_arguments_are_refused(self, clock):
        """Where they are given."""
        with pytest.raises(ConfigurationError, match="accounts"):
            OpenTelemetryObserver(accounts="yes")
        with pytest.raises(ConfigurationError, match="engine"):
            HealthGauges("engine")
        with pytest.raises(ConfigurationError, match="max_age"):
            HealthGauges(engine_with(clock), max_age=5)
        with pytest.raises(ConfigurationError, match="clock"):
            HealthGauges(engine_with(clock), clock="now")


class TestGauges:
    """Health when metrics are collected."""

    def test_a_stream_that_stalls_is_seen_without_any_run(self, clock, telemetry):
        """The gauges are worked out from the stores, so no worker has to tell."""
        engine = engine_with(clock)
        HealthGauges(engine, meter_provider=telemetry.meters, clock=clock)
        engine.sync_due()
        assert telemetry.value("accounts", status="fresh") == 1

        clock.advance(HOUR)

        assert telemetry.value("accounts", status="stalled") == 1
        assert telemetry.value("accounts", status="fresh") == 0
        assert telemetry.value("streams", status="stalled") == 1
        assert telemetry.value("problems", condition="stalled") == 1
        assert telemetry.value("age", status="stalled") == HOUR.total_seconds()

    def test_refused_actions_are_counted(self, clock, telemetry):
        """Those that wait, and the parked ones."""
        engine = engine_with(clock, validators=[lambda action: "no"])
        HealthGauges(engine, meter_provider=telemetry.meters)
        engine.sync_due()

        assert telemetry.value("rejected", state="waiting") == 2
        assert telemetry.value("rejected", state="parked") == 0

    def test_a_series_for_each_account_where_that_is_wanted(self, clock, telemetry):
        """With its age."""
        engine = engine_with(clock)
        HealthGauges(engine, meter_provider=telemetry.meters, accounts=True)
        engine.sync_due()
        clock.advance(timedelta(minutes=3))

        ((attributes, age),) = telemetry.points()["hubspot_sync.account.age"]

        assert attributes == {**IDS, "hubspot_sync.status": "fresh"}
        assert age == 180

    def test_it_is_worked_out_once_for_all_gauges(self, clock, telemetry):
        """And again when it is older than *max_age*."""
        calls = []

        class Counting:
            def __init__(self, part):
                self._part = part

            def browse(self, *args, **kwargs):
                calls.append(args)
                return self._part.browse(*args, **kwargs)

            def __getattr__(self, name):
                return getattr(self._part, name)

        stores = MemoryStores(clock=clock)
        engine = engine_on(stores, accounts=Counting(stores.accounts), clock=clock)
        HealthGauges(engine, meter_provider=telemetry.meters, clock=clock)

        telemetry.points()
        telemetry.points()
        assert len(calls) == 1
        clock.advance(11)
        telemetry.points()
        assert len(calls) == 2

    def test_an_engine_that_is_closed_has_no_gauges(self, clock, telemetry, caplog):
        """Collecting goes on without them."""
        engine = engine_with(clock)
        HealthGauges(engine, meter_provider=telemetry.meters)
        engine.close()

        assert telemetry.points() == {}
        assert "health was not measured" in caplog.text


def test_prometheus_reads_all_of_it(clock):
    """Over HTTP, in the names that the dashboard of the example has."""
    reader = PrometheusMetricReader()
    meters = MeterProvider([reader])
    server, thread = start_http_server(0, "127.0.0.1")
    try:
        engine = engine_with(clock, OpenTelemetryObserver(meter_provider=meters))
        HealthGauges(engine, meter_provider=meters)
        engine.sync_due()
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            page = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        meters.shutdown()

    lines = [line for line in page.splitlines() if line.startswith("hubspot_sync")]
    named = {line.partition("{")[0] for line in lines}
    assert {
        "hubspot_sync_runs_total",
        "hubspot_sync_run_duration_seconds_count",
        "hubspot_sync_records_total",
        "hubspot_sync_accounts",
        "hubspot_sync_streams",
        "hubspot_sync_problems",
        "hubspot_sync_age_seconds",
    } <= named
    (fresh,) = [
        line for line in lines if line.startswith("hubspot_sync_accounts") and '"fresh"' in line
    ]
    assert fresh.endswith(" 1.0")
    assert REGISTRY is not None


def test_without_opentelemetry_the_import_says_what_to_install():
    """In its last line."""
    code = "import sys; sys.modules['opentelemetry'] = None; import hubspot_sync.integrations.otel"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "pip install 'hubspot-sync[otel]'" in done.stderr.splitlines()[-1]


EXAMPLE = Path(__file__).parents[2] / "examples" / "metrics"
# What comes only when something goes wrong.
RARE = {"hubspot_sync_errors_total", "hubspot_sync_retries_total"}


def test_the_dashboard_and_the_alerts_name_what_the_worker_shows():
    """The worker of the example, run as it says; each metric that is asked for is there."""
    asked = (EXAMPLE / "dashboard.json").read_text("utf-8") + (EXAMPLE / "alerts.yml").read_text()
    asked = re.sub(r"by \([^)]*\)|\{\{.*?\}\}", "", asked)
    wanted = set(re.findall(r"\bhubspot_sync_\w+(?=[{\[)])", asked)) - RARE
    assert len(wanted) > 5
    worker = subprocess.Popen(
        [sys.executable, EXAMPLE / "worker.py", "--demo", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = worker.stdout.readline().split()[-1]
        page = ""
        for _ in range(600):
            with urllib.request.urlopen(url, timeout=60) as answer:
                page = answer.read().decode()
            if "hubspot_sync_runs_total{" in page and "hubspot_sync_age_seconds{" in page:
                break
            SystemClock().sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=120) == 0
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()

    shown = {line.partition("{")[0].partition(" ")[0] for line in page.splitlines()}
    assert wanted <= shown
    json.loads((EXAMPLE / "dashboard.json").read_text("utf-8"))
