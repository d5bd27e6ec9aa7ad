"""The shipped back ends; import the one you use, such as `hubspot_sync.stores.sqlite`."""
