"""OpenTelemetry: metrics and traces of runs, and gauges of health; needs the extra `otel`.

Only the API is used, so nothing is recorded until the host sets an SDK up.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Final

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    raise ImportError(
        "hubspot_sync.integrations.otel needs the OpenTelemetry API; install it with "
        "pip install 'hubspot-sync[otel]'",
        name=error.name,
    ) from error

from attrs import asdict
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, StatusCode, TracerProvider

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync.engine import SyncEngine
from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.interfaces._answers import clock_of
from hubspot_sync.interfaces._parts import is_clock
from hubspot_sync.models import (
    AccountKey,
    AttentionNeeded,
    BatchStored,
    Condition,
    DeletionsSuspected,
    Event,
    Health,
    HealthStatus,
    Retried,
    RunFinished,
    RunStarted,
    StreamFinished,
    StreamReport,
)
from hubspot_sync.models._checks import is_choice, is_delay, is_kind, maybe
from hubspot_sync.models.object_types import OBJECT_TYPE_IDS

__all__ = ["HealthGauges", "OpenTelemetryObserver"]

Attributes = dict[str, str | int | float | bool]
Measured = Iterator[tuple[float, Attributes]]

_NAME: Final = "hubspot_sync"
_OWN_TYPES: Final = frozenset(OBJECT_TYPE_IDS.values())
_NANOSECONDS: Final = 1_000_000_000
_logger = logging.getLogger(_NAME)


class OpenTelemetryObserver:
    """Records what runs do, as metrics and as traces `hubspot_sync.run` -> `hubspot_sync.stream`.

    | Metric | Attributes, each with `hubspot_sync.` before it |
    | --- | --- |
    | `hubspot_sync.runs` | `status` |
    | `hubspot_sync.run.duration`, in seconds | `status` |
    | `hubspot_sync.stream.duration`, in seconds | `object_type`, `mode`, `status` |
    | `hubspot_sync.records` | `object_type`, `outcome` |
    | `hubspot_sync.calls` to HubSpot, every try counted | `endpoint` |
    | `hubspot_sync.retries` | `what` |
    | `hubspot_sync.errors` that ended streams | `object_type`, and `error.type` |
    | `hubspot_sync.attention`, see `AttentionNeeded` and `DeletionsSuspected` | `condition` |

    A run's span is a child of what is current in the thread that syncs. Custom object types are
    called "custom" together, so that the number of series has a bound.

    Args:
        meter_provider: Where metrics go; the global one by default.
        tracer_provider: Where traces go; the global one by default.
        accounts: Whether domains, accounts, custom object types by their names and the texts of
            errors are told, too.

    Raises:
        ConfigurationError: *accounts* is no boolean.
    """

    def __init__(
        self,
        *,
        meter_provider: MeterProvider | None = None,
        tracer_provider: TracerProvider | None = None,
        accounts: bool = False,
    ) -> None:
        is_choice.of("accounts", accounts)
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        self._accounts = accounts
        self._clock: Clock = SystemClock()
        self._under_way = threading.local()
        self._runs = meter.create_counter("hubspot_sync.runs", "{run}", "Runs that ended")
        self._run_seconds = meter.create_histogram(
            "hubspot_sync.run.duration", "s", "How long runs took"
        )
        self._stream_seconds = meter.create_histogram(
            "hubspot_sync.stream.duration", "s", "How long the runs of streams took"
        )
        self._records = meter.create_counter(
            "hubspot_sync.records", "{record}", "Records that were read, by what became of them"
        )
        self._calls = meter.create_counter(
            "hubspot_sync.calls", "{call}", "Calls to HubSpot, every try counted"
        )
        self._retries = meter.create_counter(
            "hubspot_sync.retries", "{try}", "Calls to HubSpot or to a store that were tried again"
        )
        self._errors = meter.create_counter(
            "hubspot_sync.errors", "{error}", "Errors that ended streams, by class"
        )
        self._attention = meter.create_counter(
            "hubspot_sync.attention", "{condition}", "What somebody has to see to, when it began"
        )
        self._notes: Mapping[type, Callable[[Event], None]] = {
            RunStarted: self._run_started,
            BatchStored: self._batch_stored,
            Retried: self._retried,
            StreamFinished: self._stream_finished,
            RunFinished: self._run_finished,
            AttentionNeeded: self._attention_needed,
            DeletionsSuspected: self._deletions_suspected,
        }

    def notify(self, event: Event) -> None:
        """Record *event*."""
        note = self._notes.get(type(event))
        if note is not None:
            note(event)

    def _run_started(self, event: Event) -> None:
        assert isinstance(event, RunStarted)
        self._under_way.run = self._tracer.start_span(
            "hubspot_sync.run", attributes=self._of(event.account)
        )

    def _batch_stored(self, event: Event) -> None:
        assert isinstance(event, BatchStored)
        named = self._of(event.stream.account, object_type=event.stream.object_type)
        for outcome, number in asdict(event.counts).items():
            if number:
                self._records.add(number, {**named, "hubspot_sync.outcome": outcome})

    def _retried(self, event: Event) -> None:
        assert isinstance(event, Retried)
        self._retries.add(1, self._of(event.account, what=event.what))

    def _stream_finished(self, event: Event) -> None:
        assert isinstance(event, StreamFinished)
        report = event.report
        named = self._of(report.stream.account, object_type=report.stream.object_type)
        mode = report.mode.value if report.mode else "none"
        how: Attributes = {"hubspot_sync.mode": mode, "hubspot_sync.status": report.status.value}
        self._stream_seconds.record(report.duration.total_seconds(), {**named, **how})
        if report.error is not None:
            self._errors.add(1, {**named, "error.type": type(report.error).__name__})
        self._trace(report, {**named, **how})

    def _trace(self, report: StreamReport, attributes: Attributes) -> None:
        ends = int(self._clock.now().timestamp() * _NANOSECONDS)
        run: Span | None = getattr(self._under_way, "run", None)
        span = self._tracer.start_span(
            "hubspot_sync.stream",
            context=None if run is None else trace.set_span_in_context(run),
            start_time=ends - int(report.duration.total_seconds() * _NANOSECONDS),
            attributes={
                **attributes,
                **{f"hubspot_sync.{name}": one for name, one in report.counts.as_dict().items()},
                "hubspot_sync.calls": sum(report.api_calls.values()),
            },
        )
        self._mark(span, report.error)
        span.end(ends)

    def _run_finished(self, event: Event) -> None:
        assert isinstance(event, RunFinished)
        report = event.report
        how = self._of(report.account, status=report.status.value)
        self._runs.add(1, how)
        self._run_seconds.record(report.duration.total_seconds(), how)
        for endpoint, number in report.api_calls.items():
            self._calls.add(number, self._of(report.account, endpoint=endpoint))
        run: Span | None = vars(self._under_way).pop("run", None)
        if run is not None:
            run.set_attributes({**how, "hubspot_sync.read": report.counts.read})
            self._mark(run, report.failure)
            run.end()

    def _attention_needed(self, event: Event) -> None:
        assert isinstance(event, AttentionNeeded)
        self._attention.add(1, self._of(event.account, condition=event.condition.value))

    def _deletions_suspected(self, event: Event) -> None:
        assert isinstance(event, DeletionsSuspected)
        condition = Condition.DELETIONS_SUSPECTED.value
        self._attention.add(1, self._of(event.stream.account, condition=condition))

    def _mark(self, span: Span, error: HubSpotSyncError | None) -> None:
        if error is not None:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR, str(error) if self._accounts else None)

    def _of(self, account: AccountKey | None, **named: str) -> Attributes:
        """The attributes of what happened to *account*."""
        object_type = named.get("object_type", "contacts")
        if not self._accounts and object_type not in _OWN_TYPES:
            named["object_type"] = "custom"
        told: Attributes = {f"hubspot_sync.{name}": value for name, value in named.items()}
        return {**told, **_ids(account)} if self._accounts and account is not None else told


class HealthGauges:
    """Shows what `SyncEngine.health` says as gauges, worked out when metrics are collected.

    One process is enough for all accounts, also one that syncs none itself.

    | Gauge | Attributes, each with `hubspot_sync.` before it |
    | --- | --- |
    | `hubspot_sync.accounts`, how many accounts have a status | `status` |
    | `hubspot_sync.streams`, the same of streams | `status` |
    | `hubspot_sync.problems`, how many streams somebody has to see to | `condition` |
    | `hubspot_sync.rejected`, refused actions in the error queue | `state`: waiting, parked |
    | `hubspot_sync.age`, of the stream that is longest behind, in seconds | `status` |
    | `hubspot_sync.account.age`, with *accounts* only | `domain_id`, `account_id`, `status` |

    While a store is away, or once the engine is closed, the gauges have no values.

    Args:
        engine: Whose accounts.
        meter_provider: Where metrics go; the global one by default.
        max_age: How long what was worked out once is shown before it is worked out again.
        accounts: Whether there is a series for each account.
        clock: Time; the system's by default.

    Raises:
        ConfigurationError: An argument is something else.
    """

    def __init__(
        self,
        engine: SyncEngine,
        *,
        meter_provider: MeterProvider | None = None,
        max_age: timedelta = timedelta(seconds=10),
        accounts: bool = False,
        clock: Clock | None = None,
    ) -> None:
        is_kind(SyncEngine).of("engine", engine)
        is_delay.of("max_age", max_age)
        is_choice.of("accounts", accounts)
        maybe(is_clock).of("clock", clock)
        self._engine = engine
        self._max_age = max_age.total_seconds()
        self._clock = clock_of(clock)
        self._lock = threading.Lock()
        self._known: tuple[float, Health | None] | None = None
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        gauges: list[tuple[str, str, str, Callable[[Health], Measured]]] = [
            ("accounts", "{account}", "Accounts by status", _accounts),
            ("streams", "{stream}", "Streams by status", _streams),
            ("problems", "{stream}", "Streams that somebody has to see to", _problems),
            ("rejected", "{action}", "Refused actions in the error queue", _rejected),
            ("age", "s", "Age of the stream that is longest behind", _ages),
        ]
        if accounts:
            gauges.append(("account.age", "s", "Age of the account's oldest stream", _by_account))
        for name, unit, what, measure in gauges:
            meter.create_observable_gauge(f"{_NAME}.{name}", [self._callback(measure)], unit, what)

    def _callback(
        self, measure: Callable[[Health], Measured]
    ) -> Callable[[CallbackOptions], list[Observation]]:
        def observe(_options: CallbackOptions) -> list[Observation]:
            health = self._health()
            if health is None:
                return []
            return [Observation(value, attributes) for value, attributes in measure(health)]

        return observe

    def _health(self) -> Health | None:
        """What was worked out last, if that is new enough; None where it cannot be."""
        with self._lock:
            now = self._clock.monotonic()
            if self._known is None or now - self._known[0] > self._max_age:
                self._known = now, self._worked_out()
            return self._known[1]

    def _worked_out(self) -> Health | None:
        try:
            return self._engine.health()
        except HubSpotSyncError as error:
            _logger.warning("health was not measured: %s", error)
            return None


def _ids(account: AccountKey) -> Attributes:
    return {
        "hubspot_sync.domain_id": account.domain_id,
        "hubspot_sync.account_id": account.account_id,
    }


def _accounts(health: Health) -> Measured:
    for status, number in health.counts.items():
        yield number, {"hubspot_sync.status": status.value}


def _streams(health: Health) -> Measured:
    statuses = [stream.status for one in health.accounts for stream in one.streams]
    for status in HealthStatus:
        yield statuses.count(status), {"hubspot_sync.status": status.value}


def _problems(health: Health) -> Measured:
    numbers = dict.fromkeys(Condition, 0)
    for one in health.problems:
        numbers[one.condition] += len(one.streams)
    for condition, number in numbers.items():
        yield number, {"hubspot_sync.condition": condition.value}


def _rejected(health: Health) -> Measured:
    counted = [stream.rejected for one in health.accounts for stream in one.streams]
    known = [one for one in counted if one is not None]
    yield sum(one.waiting for one in known), {"hubspot_sync.state": "waiting"}
    yield sum(one.parked for one in known), {"hubspot_sync.state": "parked"}


def _ages(health: Health) -> Measured:
    oldest: dict[HealthStatus, float] = {}
    for account in health.accounts:
        for one in account.streams:
            if one.age is not None:
                age = one.age.total_seconds()
                oldest[one.status] = max(age, oldest.get(one.status, 0.0))
    for status, age in oldest.items():
        yield age, {"hubspot_sync.status": status.value}


def _by_account(health: Health) -> Measured:
    for one in health.accounts:
        ages = [stream.age.total_seconds() for stream in one.streams if stream.age is not None]
        if ages:
            yield max(ages), {**_ids(one.account), "hubspot_sync.status": one.status.value}
