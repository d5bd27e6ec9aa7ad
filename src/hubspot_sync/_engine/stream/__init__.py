"""One stream, from its lease to the commit; nothing here knows entries of accounts or a fleet."""
