"""Read spans of the GenAI conventions: OpenTelemetry GenAI, OpenInference and OpenLLMetry."""
