"""The door to HubSpot: the only place that knows the official client and HubSpot's paths."""
