"""OpenTelemetry: spans for those who collect them. Where nobody does, nothing of this is in the way of a request."""
