"""Encode spans as OTLP protobuf and post them, telling apart what may be tried again."""

import gzip
import logging
import platform
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Literal

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    attach,
    detach,
    set_value,
)
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agenttrace.endpoint import Endpoint, resolve
from agenttrace.payload import LIMIT, Redact, materialise
from agenttrace.redact import redact_secrets
from agenttrace.serialise import describe
from agenttrace.transport import Reply, Transport

log = logging.getLogger("agenttrace.exporter")

BATCH_SPANS = 512
BATCH_BYTES = 4 * 1024 * 1024
RETRYABLE = frozenset({429, 502, 503, 504})
MAX_RETRY_AFTER = 300.0
CUT_TO = 2048
"""Characters each value of a span keeps that the receiver finds too large on its own."""


class Batch(msgspec.Struct, frozen=True):
    """Serialised spans, ready to send: how many, and about how many bytes."""

    spans: int
    body: Any
    size: int


class Outcome(msgspec.Struct, frozen=True):
    """What became of one attempt to post a batch.

    `retry_after` is the seconds the receiver asked to wait; `rejected` how many spans of an
    accepted batch it did not take.
    """

    kind: Literal["sent", "retry", "too_large", "refused"]
    reason: str = ""
    retry_after: float | None = None
    rejected: int = 0


class OTLPExporter(SpanExporter):
    """Sends spans to an OTLP/HTTP receiver: AgentTrace's server, or any other.

    `agenttrace.instrument()` makes one; to use it by hand, give it to a `BatchSpanProcessor`.
    What is not given comes from the standard `OTEL_EXPORTER_OTLP_*` variables. `redact(name, text)`
    returns the text that may leave the process, and takes the place of
    `agenttrace.redact.redact_secrets`; `value_limit` is the characters each value keeps.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        compression: str | None = None,
        redact: Redact | None = None,
        value_limit: int = LIMIT,
    ) -> None:
        self.endpoint: Endpoint = resolve(endpoint, headers, timeout, compression)
        self._redact = redact or redact_secrets
        self._value_limit = value_limit
        self.target = self.endpoint.traces_url
        self._transport = Transport(self.endpoint)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._headers = dict(self.endpoint.headers) | {
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"agenttrace-python ({platform.python_implementation()})",
        }
        if self.endpoint.compression != "none":
            self._headers["Content-Encoding"] = self.endpoint.compression

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Post the spans, trying again for as long as `timeout` where that can help."""
        deadline = time.monotonic() + self.endpoint.timeout
        failed = 0
        for batch in self.prepare(spans):
            failed += not self._deliver(batch, deadline)
        return SpanExportResult.FAILURE if failed else SpanExportResult.SUCCESS

    def prepare(self, spans: Sequence[ReadableSpan]) -> Iterator[Batch]:
        """Yield the spans in batches of at most 512 spans and about 4 MiB.

        A span that cannot be encoded is logged and left out; the others go.
        """
        chosen: list[ReadableSpan] = []
        size = 0
        for ready in _materialised(spans, self._redact, self._value_limit):
            weight = _weight(ready)
            if chosen and (len(chosen) >= BATCH_SPANS or size + weight > BATCH_BYTES):
                yield from self._encode(chosen)
                chosen, size = [], 0
            chosen.append(ready)
            size += weight
        if chosen:
            yield from self._encode(chosen)

    def _encode(self, spans: list[ReadableSpan]) -> Iterator[Batch]:
        try:
            yield self._pack(encode_spans(spans), len(spans))
        except Exception:
            if len(spans) == 1:
                log.exception("A span named %r cannot be encoded and is left out", spans[0].name)
                return
            for span in spans:
                yield from self._encode([span])

    def send(self, batch: Batch) -> Outcome:
        """Post a batch once and say what became of it; never raises."""
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            with self._lock:
                reply = self._transport.post(batch.body, self._headers)
        except (OSError, HTTPException, ValueError) as error:
            return Outcome("retry", describe(error))
        finally:
            detach(token)
        return _outcome(reply, self.endpoint)

    def split(self, batch: Batch) -> list[Batch]:
        """Return a batch that was too large as two; a single span with its values cut, or none."""
        request = ExportTraceServiceRequest.FromString(self._unpack(batch.body))
        if batch.spans > 1:
            return [self._pack(half, _count(half)) for half in _halves(request, batch.spans // 2)]
        return [self._pack(request, 1)] if _shorten(request) else []

    def shutdown(self) -> None:
        """Stop trying again, and close the connection."""
        self._closed.set()
        with self._lock:
            self._transport.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
        """Return True: `export` keeps nothing back."""
        return True

    def after_fork(self) -> None:
        """Make the exporter usable in a forked child."""
        self._lock = threading.Lock()
        self._transport.forget()

    def _deliver(self, batch: Batch, deadline: float) -> bool:
        pause = 0.25
        while True:
            outcome = self.send(batch)
            if outcome.kind == "sent":
                return outcome.rejected == 0
            if outcome.kind == "too_large" and (parts := self.split(batch)):
                return sum(self._deliver(part, deadline) for part in parts) == len(parts)
            wait = outcome.retry_after if outcome.retry_after is not None else pause
            gone = time.monotonic() + wait >= deadline or self._closed.is_set()
            if outcome.kind != "retry" or gone or self._closed.wait(wait):
                log.warning(
                    "%d spans were not delivered to %s: %s",
                    batch.spans, self.target, outcome.reason,
                )  # fmt: skip
                return False
            pause = min(5.0, pause * 2)

    def _pack(self, request: ExportTraceServiceRequest, spans: int) -> Batch:
        body = request.SerializeToString()
        if self.endpoint.compression == "gzip":
            body = gzip.compress(body, compresslevel=1, mtime=0)
        elif self.endpoint.compression == "deflate":
            body = zlib.compress(body, 1)
        return Batch(spans, body, len(body))

    def _unpack(self, body: bytes) -> bytes:
        if self.endpoint.compression == "gzip":
            return gzip.decompress(body)
        return zlib.decompress(body) if self.endpoint.compression == "deflate" else body


class Foreign:
    """Any other SpanExporter, made to take its spans from the queue."""

    def __init__(
        self, exporter: SpanExporter, redact: Redact | None = None, value_limit: int = LIMIT
    ) -> None:
        self.target = type(exporter).__qualname__
        self._exporter = exporter
        self._redact = redact or redact_secrets
        self._value_limit = value_limit

    def prepare(self, spans: Sequence[ReadableSpan]) -> Iterator[Batch]:
        """Yield the spans as one batch."""
        ready = list(_materialised(spans, self._redact, self._value_limit))
        yield Batch(len(ready), ready, 0)

    def send(self, batch: Batch) -> Outcome:
        """Give the batch to the exporter."""
        try:
            result = self._exporter.export(batch.body)
        except Exception as error:  # noqa: BLE001 - someone else's exporter can fail in any way
            return Outcome("refused", describe(error))
        return Outcome("refused" if result is SpanExportResult.FAILURE else "sent", str(result))

    def split(self, batch: Batch) -> list[Batch]:  # noqa: ARG002
        """Return nothing: such an exporter never says that a batch was too large."""
        return []

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def after_fork(self) -> None:
        """Do nothing: an exporter has to see to that itself."""


def _materialised(
    spans: Sequence[ReadableSpan], redact: Redact, limit: int
) -> Iterator[ReadableSpan]:
    for span in spans:
        try:
            yield materialise(span, redact, limit)
        except Exception:  # one broken span must not cost the others
            log.exception("A span named %r cannot be serialised and is left out", span.name)


def _weight(span: ReadableSpan) -> int:
    groups = [span.attributes or {}, *(event.attributes or {} for event in span.events)]
    return 200 + sum(
        len(value) if isinstance(value, (str, bytes)) else 16
        for group in groups
        for value in group.values()
    )


def _outcome(reply: Reply, endpoint: Endpoint) -> Outcome:
    if 200 <= reply.status < 300:
        return _accepted(reply)
    reason = f"HTTP {reply.status}{_said(reply)}"
    if reply.status == 413:
        return Outcome("too_large", reason)
    if reply.status in RETRYABLE:
        return Outcome("retry", reason, _retry_after(reply.headers.get("retry-after")))
    if 300 <= reply.status < 400:
        reason += f"; it redirects to {reply.headers.get('location')}: set the endpoint to that"
    elif reply.status in (401, 403):
        reason += "; set OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer <API key>'"
    elif reply.status in (404, 405):
        reason += f"; is {endpoint.url} an OTLP/HTTP receiver?"
    return Outcome("refused", reason)


def _accepted(reply: Reply) -> Outcome:
    if "protobuf" not in reply.headers.get("content-type", ""):
        return Outcome("sent")
    try:
        partial = ExportTraceServiceResponse.FromString(reply.body).partial_success
    except DecodeError:
        return Outcome("sent")
    return Outcome("sent", partial.error_message, rejected=partial.rejected_spans)


def _said(reply: Reply) -> str:
    """Return the server's own words: the message of a google.rpc.Status, or a short text."""
    kind = reply.headers.get("content-type", "")
    text = ""
    if "json" in kind:
        try:
            text = str(msgspec.json.decode(reply.body, type=dict).get("message", ""))
        except msgspec.DecodeError:
            text = ""
    elif "protobuf" in kind:
        text = _status_message(reply.body)
    elif "html" not in kind:
        text = reply.body[:500].decode("utf-8", "replace")
    return f" ({text.strip()[:500]})" if text.strip() else ""


def _status_message(body: bytes) -> str:
    from google.rpc.status_pb2 import Status

    try:
        return str(Status.FromString(body).message)
    except DecodeError:
        return ""


def _retry_after(text: str | None) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    return min(MAX_RETRY_AFTER, max(0.0, seconds)) if seconds == seconds else None


def _count(request: ExportTraceServiceRequest) -> int:
    return sum(len(scope.spans) for part in request.resource_spans for scope in part.scope_spans)


def _halves(
    request: ExportTraceServiceRequest, middle: int
) -> tuple[ExportTraceServiceRequest, ExportTraceServiceRequest]:
    halves = ExportTraceServiceRequest(), ExportTraceServiceRequest()
    position = 0
    for part in request.resource_spans:
        for scope in part.scope_spans:
            cuts = max(0, min(len(scope.spans), middle - position))
            for half, spans in zip(halves, (scope.spans[:cuts], scope.spans[cuts:]), strict=True):
                if spans:
                    resource_spans = half.resource_spans.add()
                    resource_spans.resource.CopyFrom(part.resource)
                    resource_spans.schema_url = part.schema_url
                    scope_spans = resource_spans.scope_spans.add()
                    scope_spans.scope.CopyFrom(scope.scope)
                    scope_spans.schema_url = scope.schema_url
                    scope_spans.spans.extend(spans)
            position += len(scope.spans)
    return halves


def _shorten(request: ExportTraceServiceRequest) -> bool:
    """Cut long values of a span that is too large; return whether there was any."""
    shortened = False
    for part in request.resource_spans:
        for scope in part.scope_spans:
            for span in scope.spans:
                groups = [span.attributes, *(event.attributes for event in span.events)]
                for attribute in (attribute for group in groups for attribute in group):
                    text = attribute.value.string_value
                    if len(text) > CUT_TO + 100:
                        cut = f"{text[:CUT_TO]}… [truncated: the receiver takes no larger span]"
                        attribute.value.string_value = cut
                        shortened = True
    return shortened
