"""What decoding costs per span: against a bare protobuf parse of the same bytes, in one run.

512 spans of about 1 kB, as a batch of a real exporter is. The ways take turns, and of many rounds
the best CPU time counts, so that a noisy moment hits none of them alone. Prints JSON lines.

    python benchmarks/decode.py [--rounds 60]
"""

import argparse
import json
import time
from collections.abc import Callable

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agenttrace import genai
from agenttrace.models import RawSpan, Scope, Span
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins
from agenttrace_server.decode import JSON, PROTOBUF, decode
from agenttrace_server.encode import encode_json, encode_protobuf

BATCH = 512


def batch() -> list[RawSpan]:
    """Return model calls of agents, with what such spans carry."""
    scope = Scope("agenttrace.langgraph", "1.2", resource={"service.name": "shop"})
    said = [{"role": "user", "content": "find the cheapest flight to Lisbon " * 8}]
    answer = [{"role": "assistant", "content": "the cheapest flight leaves at nine " * 6}]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-2024-08-06",
        "gen_ai.agent.name": "researcher",
        "gen_ai.conversation.id": "thread-5f0c",
        "gen_ai.usage.input_tokens": 812,
        "gen_ai.usage.output_tokens": 93,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.input.messages": msgspec.json.encode(said).decode(),
        "gen_ai.output.messages": msgspec.json.encode(answer).decode(),
    }
    return [
        RawSpan(
            "5b8efff798038103d269b633813fc60c",
            f"{number + 1:016x}",
            "chat gpt-4o-2024-08-06",
            1_751_474_840_301_046_016 + number,
            1_751_474_841_301_046_016 + number,
            f"{number + 7:016x}",
            "client",
            attributes=attributes,
            scope=scope,
        )
        for number in range(BATCH)
    ]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=60)
    rounds = arguments.parse_args().rounds
    spans = batch()
    as_protobuf, as_json = encode_protobuf(spans), encode_json(spans)
    plugins = Plugins()
    plugins.register(genai, "genai")
    ways: dict[str, Callable[[], object]] = {
        "protobuf parse alone": lambda: ExportTraceServiceRequest.FromString(as_protobuf),
        "decode protobuf": lambda: decode(as_protobuf, PROTOBUF),
        "decode JSON": lambda: decode(as_json, JSON),
        "normalize": lambda: normalize(spans, plugins),
        "build a Span alone": lambda: [Span.of(span) for span in spans],
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.thread_time()
            way()
            best[name] = min(best[name], time.thread_time() - start)
    bare = best["protobuf parse alone"]
    for name, seconds in best.items():
        print(
            json.dumps(
                {
                    "what": name,
                    "us_per_span": round(seconds / BATCH * 1e6, 2),
                    "spans_per_second": round(BATCH / seconds),
                    "times_bare_parse": round(seconds / bare, 1),
                }
            )
        )
    print(json.dumps({"bytes_per_span": round(len(as_protobuf) / BATCH)}))


if __name__ == "__main__":
    main()
