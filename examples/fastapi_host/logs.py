"""The log as JSON, one object a line, for whatever collects it.

| Name | What it is |
| --- | --- |
| `time` | when, in UTC, to the millisecond: `2026-03-02T12:00:00.000Z` |
| `level`, `logger`, `message` | as `logging` has them |
| `event` | the name of an event of the library, such as `StreamFinished` |
| `domain_id`, `account_id`, `object_type` | what it is about |
| `counts` | `read`, `delivered`, `repeated`, `unchanged`, `rejected`, `skipped` |
| `attempt`, `wait_seconds`, `reason` | of a call that is tried again |
| `error`, `reason`, `http_status`, `correlation_id` | of what failed |
| `exception` | a traceback |

Only the first four are in every line; `hubspot_sync.LoggingObserver` has more for some events.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any, Final

# What `logging` gives to every record; the rest was given with `extra`.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "color_message",  # uvicorn's, for terminals
    "message",
    "taskName",  # from Python 3.12 on
}


class JsonFormatter(logging.Formatter):
    """Makes one line of JSON of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; what JSON does not know is there as text."""
        when = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            name: value for name, value in vars(record).items() if name not in _USUAL
        }
        line |= {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_to_stderr(*, as_json: bool) -> None:
    """Let everything from level INFO on be written, as text or as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter() if as_json else logging.Formatter("%(levelname)-8s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
