"""The host that the Celery tests run, set up by one variable of the environment.

CELERY_HOST='{"broker": "redis://...", ...}' celery -A kit.celery_host worker
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

from kit.celery_fleet import host_of

app, tasks = host_of(json.loads(os.environ["CELERY_HOST"]))
app.conf.beat_schedule = {"hubspot": tasks.beat_entry(every=timedelta(seconds=1))}
