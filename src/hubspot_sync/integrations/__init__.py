"""What ties the engine to systems that a host may have already; each needs an extra."""
