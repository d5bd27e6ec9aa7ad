"""A process that runs `engine.run` on a MongoDB database and says what it begins and ends.

Arguments: the database's URI, the emulator's base URL, and the encryption key.
It writes a line to standard output for each run that begins ("began acme/62515") and for each
account that is done ("completed acme/62515", "busy ...", "failed ..."), and ends on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta

from hubspot_sync import EncryptionKeys, HubSpotSettings, mongodb_engine
from hubspot_sync.models import AccountFinished, FleetReport, RunStarted


class Teller:
    """Writes down what happens."""

    def notify(self, event):
        """One line for each event that is asked about."""
        if isinstance(event, RunStarted):
            say(f"began {event.account}")
        elif isinstance(event, AccountFinished):
            report = FleetReport(accounts=(event.report,), duration=event.report.duration)
            (how,) = (status.value for status, number in report.ended.items() if number)
            say(f"{how} {event.report.account}")


def say(line):
    """In one piece, whichever thread says it."""
    os.write(1, f"{line}\n".encode())


def main():
    uri, base_url, key = sys.argv[1:]
    engine = mongodb_engine(
        uri,
        cipher=EncryptionKeys(key),
        hubspot=HubSpotSettings(base_url=base_url),
        observers=[Teller()],
    )
    signal.signal(signal.SIGTERM, lambda *_: engine.stop())
    with engine:
        engine.run(workers=2, poll_every=timedelta(milliseconds=50))


if __name__ == "__main__":
    main()
