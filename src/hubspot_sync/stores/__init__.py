"""The shipped back ends; import the one you use, such as `hubspot_sync.stores.sqlite`.

Each has a function that returns all that an engine needs, as `Stores`: `MemoryStores()`,
`SqliteStores(path)`, `MongoStores(client)`. `open_stores` does it for a URL.
"""

from hubspot_sync.stores._bundle import Stores
from hubspot_sync.stores._urls import check_store_url, open_stores

__all__ = ["Stores", "check_store_url", "open_stores"]
