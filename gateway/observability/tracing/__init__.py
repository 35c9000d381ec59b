"""OpenTelemetry tracing, inactive unless an exporter is configured."""
