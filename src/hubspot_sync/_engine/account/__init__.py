"""One account: its streams, its entry and its credentials."""
