"""One call: the only place that sends."""
