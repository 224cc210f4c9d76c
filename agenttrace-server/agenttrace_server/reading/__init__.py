"""Read request bodies into spans that are ready to be written."""

from collections.abc import Sequence

import msgspec

from agenttrace.models import RawSpan
from agenttrace.normalize import normalize
from agenttrace.plugins import Plugins
from agenttrace_server.decode import decode
from agenttrace_server.prices import price_of, priced
from agenttrace_server.rejected import Rejected
from agenttrace_server.store.batch import Batch, ready


class Read(msgspec.Struct):
    """What a body held: spans ready to be written, how many came, and which are refused and why."""

    batch: Batch
    count: int
    rejected: list[Rejected]


def prepare() -> None:
    """Load what reading needs, so that nobody's request waits for it."""
    price_of("gpt-4o")  # the first price asked for loads them all


def read(body: bytes, form: str, plugins: Plugins, project_id: int) -> Read:
    """Return the spans of an ExportTraceServiceRequest; raises `InvalidPayload`."""
    decoded = decode(body, form)
    made = make_ready(decoded.spans, plugins, project_id)
    return Read(made.batch, made.count, [*decoded.rejected, *made.rejected])


def make_ready(raws: Sequence[RawSpan], plugins: Plugins, project_id: int) -> Read:
    """Return the spans normalised, with prices, and those that no database can hold."""
    batch, refused = ready(project_id, priced(normalize(raws, plugins)))
    return Read(batch, len(raws) - len(refused), refused)
