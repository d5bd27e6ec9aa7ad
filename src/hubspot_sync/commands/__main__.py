"""`python -m hubspot_sync.commands`."""

from __future__ import annotations

import sys

from hubspot_sync.commands import main

if __name__ == "__main__":
    sys.exit(main())
