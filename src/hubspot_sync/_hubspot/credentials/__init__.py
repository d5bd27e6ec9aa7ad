"""Access tokens: where they come from, and how accounts are connected."""
