"""OpenTelemetry traces. Without a tracer provider no code of this package runs during a request."""
