"""Many accounts, which share a few workers turn by turn."""
