"""Write spans in the formats of others: OTLP, which loses nothing, Jaeger's and Zipkin's JSON."""

from agenttrace_server.encode.jaeger import encode_jaeger
from agenttrace_server.encode.otlp_json import encode_json
from agenttrace_server.encode.otlp_protobuf import encode_protobuf
from agenttrace_server.encode.zipkin import encode_zipkin

__all__ = ["encode_jaeger", "encode_json", "encode_protobuf", "encode_zipkin"]
