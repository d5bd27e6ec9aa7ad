"""Stores in MongoDB, for services with many workers.

Hand each store the same database, made from the host's own client or from a URI:

```python
with MongoDatabase("mongodb://127.0.0.1:27017/crm") as database:
    sink = MongoActionSink(database)
    checkpointer = MongoCheckpointer(database)
```

MongoDB 5.0 or later; a replica set where data must outlive a machine.
"""

from hubspot_sync.stores.mongodb._accounts import MongoAccountStore
from hubspot_sync.stores.mongodb._actions import MongoActionSink
from hubspot_sync.stores.mongodb._checkpoints import MongoCheckpointer
from hubspot_sync.stores.mongodb._credentials import MongoTokenStore
from hubspot_sync.stores.mongodb._database import MongoDatabase
from hubspot_sync.stores.mongodb._failures import MongoErrorQueue
from hubspot_sync.stores.mongodb._nonces import MongoNonceStore
from hubspot_sync.stores.mongodb._records import MongoRecordSink
from hubspot_sync.stores.mongodb._stores import MongoStores
from hubspot_sync.stores.mongodb._values import properties_from_document

__all__ = [
    "MongoAccountStore",
    "MongoActionSink",
    "MongoCheckpointer",
    "MongoDatabase",
    "MongoErrorQueue",
    "MongoNonceStore",
    "MongoRecordSink",
    "MongoStores",
    "MongoTokenStore",
    "properties_from_document",
]
