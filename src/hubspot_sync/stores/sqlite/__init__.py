"""Stores in one SQLite file, for embedding without a server.

Open the file once and hand it to each store:

```python
with SqliteDatabase("sync.db") as database:
    sink = SqliteActionSink(database)
    checkpointer = SqliteCheckpointer(database)
```

Threads share the connection; several processes of one machine may open the same file.
"""

from hubspot_sync._documents import properties_from_text
from hubspot_sync.stores._sqlite_urls import sqlite_path
from hubspot_sync.stores.sqlite._accounts import SqliteAccountStore
from hubspot_sync.stores.sqlite._actions import SqliteActionSink
from hubspot_sync.stores.sqlite._checkpoints import SqliteCheckpointer
from hubspot_sync.stores.sqlite._credentials import SqliteTokenStore
from hubspot_sync.stores.sqlite._database import SqliteDatabase
from hubspot_sync.stores.sqlite._failures import SqliteErrorQueue
from hubspot_sync.stores.sqlite._nonces import SqliteNonceStore
from hubspot_sync.stores.sqlite._records import SqliteRecordSink
from hubspot_sync.stores.sqlite._stores import SqliteStores

__all__ = [
    "SqliteAccountStore",
    "SqliteActionSink",
    "SqliteCheckpointer",
    "SqliteDatabase",
    "SqliteErrorQueue",
    "SqliteNonceStore",
    "SqliteRecordSink",
    "SqliteStores",
    "SqliteTokenStore",
    "properties_from_text",
    "sqlite_path",
]
