"""One pytest class per Protocol that a store can implement: what every back end has to keep.

To test a store of your own, subclass the contract and override its fixtures:

```python
from hubspot_sync.testing.contracts import TokenStoreContract

class TestMyTokenStore(TokenStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return MyTokenStore(tmp_path / "tokens")

    @pytest.fixture
    def reopen(self, tmp_path):
        return lambda: MyTokenStore(tmp_path / "tokens")
```

pytest collects the subclass only, because the contract's own name does not begin with "Test".
"""

import pytest

# Before the imports: only modules that are registered by then explain a failed assert.
pytest.register_assert_rewrite(
    "hubspot_sync.testing.contracts._lists",
    "hubspot_sync.testing.contracts._entries",
    "hubspot_sync.testing.contracts._leases",
    "hubspot_sync.testing.contracts._newest",
    "hubspot_sync.testing.contracts._once",
    "hubspot_sync.testing.contracts._admin",
    "hubspot_sync.testing.contracts._samples",
    "hubspot_sync.testing.contracts._races",
    "hubspot_sync.testing.contracts._turns",
    "hubspot_sync.testing.contracts.account_store",
    "hubspot_sync.testing.contracts.action_sink",
    "hubspot_sync.testing.contracts.checkpointer",
    "hubspot_sync.testing.contracts.error_queue",
    "hubspot_sync.testing.contracts.nonce_store",
    "hubspot_sync.testing.contracts.token_store",
)

from hubspot_sync.testing.contracts.account_store import AccountStoreContract  # noqa: E402
from hubspot_sync.testing.contracts.action_sink import ActionSinkContract  # noqa: E402
from hubspot_sync.testing.contracts.checkpointer import CheckpointerContract  # noqa: E402
from hubspot_sync.testing.contracts.error_queue import ErrorQueueContract  # noqa: E402
from hubspot_sync.testing.contracts.nonce_store import NonceStoreContract  # noqa: E402
from hubspot_sync.testing.contracts.token_store import TokenStoreContract  # noqa: E402

__all__ = [
    "AccountStoreContract",
    "ActionSinkContract",
    "CheckpointerContract",
    "ErrorQueueContract",
    "NonceStoreContract",
    "TokenStoreContract",
]
