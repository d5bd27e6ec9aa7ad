"""What a command has to show: as JSON, as tables of rich on a terminal, or as plain lines."""

from __future__ import annotations

import json
import sys
from datetime import timezone
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync.commands._messages import FAILED, BadArgumentsError, printable
from hubspot_sync.commands._messages import complain as _complain

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

_BETWEEN: Final = "  "


@frozen
class Table:
    """Rows under headings.

    Attributes:
        columns: The headings.
        rows: One text for each column.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def printable(self) -> Table:
        """The same without what does not belong on a terminal."""
        encoding = sys.stdout.encoding
        return Table(
            self.columns,
            [tuple(printable(cell, encoding) for cell in row) for row in self.rows],
        )


@frozen(kw_only=True)
class Result:
    """What came of a command.

    Attributes:
        document: All of it, for `--json`.
        ok: Whether all went well.
        table: What is shown as a table, if anything.
        lines: What is shown below it.
        complaints: What did not go well, for standard error.
    """

    document: Mapping[str, Any]
    ok: bool = True
    table: Table | None = None
    lines: tuple[str, ...] = ()
    complaints: Sequence[str] = ()


def show(result: Result, options: Namespace) -> int:
    """Print *result* as *options* ask for, and return the exit status."""
    name = f"hubspot-sync {options.command}"
    if options.json:
        sys.stdout.write(json.dumps(result.document) + "\n")
    else:
        if result.table is not None and result.table.rows:
            _draw(result.table.printable())
        for line in result.lines:
            sys.stdout.write(printable(line, sys.stdout.encoding) + "\n")
    sys.stdout.flush()
    for complaint in result.complaints:
        _complain(name, complaint, status=FAILED)
    return 0 if result.ok else FAILED


def _draw(table: Table) -> None:
    if sys.stdout.isatty():
        try:
            _draw_richly(table)
        except ImportError:  # it is for comfort only
            pass
        else:
            return
    for line in _aligned(table):
        sys.stdout.write(line + "\n")


def _draw_richly(table: Table) -> None:
    from rich import box  # noqa: PLC0415 - if it is installed
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table as RichTable  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    drawn = RichTable(box=box.SIMPLE_HEAD)
    for heading, numbers in zip(table.columns, _numeric(table), strict=True):
        drawn.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))  # a text is not searched for markup
    Console().print(drawn)


def _aligned(table: Table) -> Iterable[str]:
    everything = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    numeric = _numeric(table)
    for row in everything:
        cells = [
            cell.rjust(width) if numbers else cell.ljust(width)
            for cell, width, numbers in zip(row, widths, numeric, strict=True)
        ]
        yield _BETWEEN.join(cells).rstrip()


def _numeric(table: Table) -> list[bool]:
    """Which columns hold numbers only."""
    return [
        all(cell.replace(",", "").replace(".", "").isdigit() for cell in column if cell != "-")
        for column in zip(*table.rows, strict=True)
    ]


def when(instant: datetime | None) -> str:
    """An instant in UTC, to the minute."""
    return "-" if instant is None else f"{instant.astimezone(timezone.utc):%Y-%m-%d %H:%M}"


def confirm(question: str, options: Namespace) -> bool:
    """Ask whoever is at the terminal, unless `--yes` was given.

    Raises:
        BadArgumentsError: There is no terminal, and `--yes` was not given.
    """
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise BadArgumentsError(
            f"this cannot be undone, and there is no terminal to ask at: {question}; give --yes "
            "if it is meant"
        )
    sys.stderr.write(f"{question}? It cannot be undone. [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    _complain(f"hubspot-sync {options.command}", "nothing was done", status=FAILED)
    return False
