# pyright: strict
"""A host's code as its type checker sees it: parts of its own, and what it reads of reports.

Nothing runs here; `make types` checks it with mypy and with pyright, in strict mode. What has to
be refused stands in `mistakes.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync import (
    Account,
    AccountKey,
    Action,
    ActionKind,
    Condition,
    OAuthTokens,
    RevisionConflictError,
    SinkAnswer,
    StaticAccessToken,
    StreamSettings,
    StreamStatus,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync.models import Event, RunFinished, StoredCredentials
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import HubSpotEmulator, ManualClock, ScriptedSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from hubspot_sync import AccountHealth, Clock, Health, StreamHealth, SyncReport
    from hubspot_sync.interfaces import ActionSink, Observer, SourceFactory, TokenStore, Validator


class OwnSink:
    """A sink that inherits nothing."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Keep the names of actions."""
        repeated = {one.action_id for one in actions if one.action_id in self.names}
        for action in actions:
            kind: ActionKind = action.kind
            self.names[action.action_id] = f"{action.object_type} {kind.value}"
        return SinkAnswer(repeated=frozenset(repeated))


class OwnTokens:
    """A token store that inherits nothing."""

    def __init__(self) -> None:
        self._kept: dict[AccountKey, StoredCredentials] = {}

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """What is kept."""
        return self._kept.get(account)

    def save(
        self,
        account: AccountKey,
        credentials: StaticAccessToken | OAuthTokens,
        *,
        expected_revision: int | None,
    ) -> StoredCredentials:
        """Keep it, if nothing else was kept meanwhile."""
        held = self._kept.get(account)
        if (held and held.revision) != expected_revision:
            raise RevisionConflictError("they were saved meanwhile")
        stored = StoredCredentials(credentials=credentials, revision=(expected_revision or 0) + 1)
        self._kept[account] = stored
        return stored

    def delete(self, account: AccountKey) -> None:
        """Forget it."""
        self._kept.pop(account, None)


class OwnObserver:
    """An observer that inherits nothing."""

    def notify(self, event: Event) -> None:
        """Look at one kind of event."""
        if isinstance(event, RunFinished):
            show(event.report)


def has_email(action: Action) -> str | None:
    """A validator is a function."""
    return None if action.properties.get("email") else "it has no e-mail"


def show(report: SyncReport) -> tuple[str, int, timedelta]:
    """What a host reads of a report."""
    delivered: int = report.counts.delivered
    for stream in report.streams:
        status: StreamStatus = stream.status
        mark: str = f"{stream.stream.object_type}: {status.value}"
        delivered += len(mark)
    contacts: StreamStatus = report["contacts"].status
    if report.failure is not None:
        report.raise_for_failure()
    return contacts.value, delivered, report.duration


def parts() -> tuple[ActionSink, TokenStore, Observer, Validator, Clock, SourceFactory]:
    """Each of them is what it is meant to be."""
    return OwnSink(), OwnTokens(), OwnObserver(), has_email, ManualClock(), ScriptedSource()


def engine(path: str) -> SyncEngine:
    """A host's engine with its own sink."""
    return SyncEngine(
        SqliteStores(path),
        sink=OwnSink(),
        validators=[has_email],
        observers=[OwnObserver()],
        settings=SyncSettings(batch_size=100),
    )


def main() -> None:
    """A sync, and what it left."""
    account = Account("62515", domain_id="acme", streams=(StreamSettings("contacts"),))
    with HubSpotEmulator() as emulator, engine("crm.db") as opened:
        opened.domain("acme").connect(StaticAccessToken(emulator.access_token))
        show(opened.sync(account))
        domain = opened.domain("acme")
        entry = domain.account("62515")
        due: datetime | None = entry.next_sync_at
        print(evolve(account, streams=()), due)


def unhealthy(engine: SyncEngine) -> list[str]:
    """All accounts, those of a tenant, and one of them."""
    health: Health = engine.health()
    tenant: Health = engine.domain("acme").health()
    account: AccountHealth = engine.domain("acme").health("62515")
    contacts: StreamHealth = account["contacts"]
    told = [one.remedy for one in health.problems if one.condition is Condition.STALLED]
    return [*told, str(tenant.ok), contacts.status.value]
