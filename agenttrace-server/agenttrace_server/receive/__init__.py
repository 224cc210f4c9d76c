"""Take in OTLP by version 1.11 of its specification, over HTTP and gRPC, on the same path."""
