"""The engine: one pipeline a stream, from HubSpot to the sink."""
