// Sends one trace with the exporter that is named: node send.mjs proto|http|grpc URL
import { SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as Grpc } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as Json } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as Proto } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [kind, url] = process.argv.slice(2);
const Exporter = { proto: Proto, http: Json, grpc: Grpc }[kind];
const exporter = new Exporter({ url, compression: "gzip" });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
provider.register();

const tracer = trace.getTracer("javascript", "1");
const id = tracer.startActiveSpan("outer", (outer) => {
  outer.setAttributes({ flags: [true, false], half: 0.5, whole: 12 });
  tracer.startActiveSpan("inner", (inner) => {
    inner.addEvent("thought", { of: "it" });
    inner.setStatus({ code: SpanStatusCode.ERROR, message: "no" });
    inner.end();
  });
  outer.end();
  return outer.spanContext().traceId;
});
await provider.shutdown();
console.log(id);
