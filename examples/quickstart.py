"""Watch a HubSpot account being synchronised into an SQLite file; no account is needed.

    pip install 'hubspot-sync[examples]'    # or, in a clone: pip install '.[examples]'
    python examples/quickstart.py [--keep crm.db]

An emulator on this machine plays HubSpot. The account is synchronised, some of its records
change, it is synchronised again, and once more with nothing changed. Then tables show what each
run read, what it cost in calls, and some of what it left in the file.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hubspot_sync import Account, HubSpotSettings, StaticAccessToken, SyncEngine
from hubspot_sync.models import BatchStored, StreamFinished, StreamStarted
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import HubSpotEmulator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.progress import TaskID

    from hubspot_sync import SyncReport
    from hubspot_sync.models import Event

# A pipe has no width of its own, and rich would take 80 columns for it.
console = Console(width=None if sys.stdout.isatty() else 110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the three syncs and show what they did; gives the exit status."""
    with ExitStack() as stack:
        path = database_path(arguments, stack)
        console.print(f"Syncing an emulated HubSpot account into {path}", soft_wrap=True)
        hubspot = stack.enter_context(HubSpotEmulator(contacts=10_000, companies=2_000))
        reports = sync_three_times(hubspot, path)
        console.print(table_of_records(reports), table_of_calls(reports), table_of_actions(path))
    return 0 if all(report.completed for report in reports.values()) else 1


def database_path(arguments: Sequence[str] | None, stack: ExitStack) -> Path:
    """Where the SQLite file goes: where `--keep` says, or a folder that goes away with *stack*."""
    parser = argparse.ArgumentParser(description="Sync an emulated HubSpot account into SQLite.")
    parser.add_argument("--keep", metavar="PATH", type=Path, help="leave the SQLite file here")
    keep: Path | None = parser.parse_args(arguments).keep
    if keep is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory())) / "crm.db"
    if keep.exists() or not keep.absolute().parent.is_dir():
        parser.error(f"{keep} has to be a new file in a folder that exists")
    return keep


def sync_three_times(hubspot: HubSpotEmulator, path: Path) -> Mapping[str, SyncReport]:
    """Sync, change some records, sync again, and once more; gives the reports by run."""
    account = Account(account_id=hubspot.account_id)
    expected = {name: len(hubspot.records(name)) for name in ("companies", "contacts")}
    with progress_bars() as progress:
        observer = ProgressObserver(progress, expected)
        with open_engine(hubspot, path, observer) as engine:
            engine.store_credentials(account, StaticAccessToken(hubspot.access_token))
            first = run(engine, account, observer, "first run")
            progress.console.print(change_some_records(hubspot))
            second = run(engine, account, observer, "second run")
            third = run(engine, account, observer, "third run")
    return {"first": first, "second": second, "third": third}


def open_engine(hubspot: HubSpotEmulator, path: Path, observer: ProgressObserver) -> SyncEngine:
    """An engine on the SQLite file at *path*, as a host application makes it."""
    return SyncEngine(
        SqliteStores(path),
        # An emulator has no quota to respect; a real account keeps the defaults.
        hubspot=HubSpotSettings(base_url=hubspot.base_url, burst_limit=None, search_limit=None),
        observers=[observer],
    )


def run(engine: SyncEngine, account: Account, observer: ProgressObserver, title: str) -> SyncReport:
    """One sync, with progress bars under *title*."""
    observer.title = title
    report = engine.sync(account)
    report.raise_for_failure()
    return report


def change_some_records(hubspot: HubSpotEmulator) -> str:
    """Do in the account what people and HubSpot's own jobs do, and say so."""
    companies = hubspot.touch("companies", count=4)
    hubspot.touch("contacts", count=37)
    hubspot.bump("contacts", count=5)
    for number, company in enumerate(companies, start=1):
        contact = hubspot.create("contacts", {"email": f"new{number}@example.com"})
        hubspot.associate("contacts", contact, "companies", company, primary=True)
    return (
        "Changed in HubSpot: 4 companies and 37 contacts have a new value, 4 contacts are new and "
        "belong to a company, 5 more have a new modified date and nothing else"
    )


def progress_bars() -> Progress:
    """Bars that say how many records are stored."""
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


class ProgressObserver:
    """Moves one bar a stream; the engine knows nothing of bars.

    Args:
        progress: Draws the bars.
        expected: Records by object type, for the length of the bar of a first run.

    Attributes:
        title: Stands before the name of each bar.
    """

    def __init__(self, progress: Progress, expected: Mapping[str, int]) -> None:
        self._progress = progress
        self._expected = expected
        self._bars: dict[str, TaskID] = {}
        self.title = ""

    def notify(self, event: Event) -> None:
        """Start, move or fill a bar."""
        match event:
            case StreamStarted(stream=stream, reading=reading):
                # What changed since a time is not known in number before it is read.
                total = self._expected[stream.object_type] if reading.start is None else None
                self._bars[stream.object_type] = self._progress.add_task(
                    f"{self.title}: {stream.object_type}", total=total
                )
            case BatchStored(stream=stream, so_far=counts):
                self._progress.update(self._bars[stream.object_type], completed=counts.read)
            case StreamFinished(report=report):
                self._progress.update(
                    self._bars[report.stream.object_type], total=report.counts.read
                )


def new_table(title: str) -> Table:
    """An empty table in the style of all tables here."""
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def table_of_records(reports: Mapping[str, SyncReport]) -> Table:
    """What became of the records, by run and stream."""
    table = new_table("Records")
    table.add_column("run")
    table.add_column("stream")
    for name in ("read", "delivered", "repeated", "unchanged", "seconds"):
        table.add_column(name, justify="right")
    for run_name, report in reports.items():
        for stream in report.streams:
            counts = stream.counts
            table.add_row(
                run_name,
                stream.stream.object_type,
                f"{counts.read:,}",
                f"{counts.delivered:,}",
                f"{counts.repeated:,}",
                f"{counts.unchanged:,}",
                f"{stream.duration.total_seconds():.2f}",
            )
        table.add_section()
    return table


def table_of_calls(reports: Mapping[str, SyncReport]) -> Table:
    """Calls to HubSpot, by kind and run."""
    table = new_table("Calls to HubSpot")
    table.add_column("kind")
    for run_name in reports:
        table.add_column(run_name, justify="right")
    calls = [report.api_calls for report in reports.values()]
    for kind in sorted({kind for by_kind in calls for kind in by_kind}):
        table.add_row(kind, *(str(by_kind.get(kind, 0)) for by_kind in calls))
    table.add_section()
    table.add_row("all", *(str(sum(by_kind.values())) for by_kind in calls))
    return table


def table_of_actions(path: Path) -> Table:
    """The latest actions of each name, read as any program would read them."""
    table = new_table("Some of the actions in the file")
    for name in ("name", "object", "email or company", "occurred at", "companies"):
        table.add_column(name, overflow="fold")
    database = sqlite3.connect(path)
    try:
        rows = database.execute(
            """SELECT name, object_id, properties, occurred_at, associations
            FROM (SELECT *, row_number() OVER (PARTITION BY name ORDER BY rowid DESC) AS place
                  FROM actions)
            WHERE place <= 3 ORDER BY name, place"""
        ).fetchall()
    finally:
        database.close()
    for name, object_id, properties, occurred_at, associations in rows:
        values = json.loads(properties)
        companies = json.loads(associations).get("companies", [])
        table.add_row(
            name,
            object_id,
            values.get("email") or values.get("name") or "-",
            occurred_at[:19].replace("T", " "),
            ", ".join(company["id"] for company in companies) or "-",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
