"""Pages of records: read in parallel, checked, and proved."""
