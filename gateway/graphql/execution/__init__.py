"""Run a planned operation and build its result, once per request."""
