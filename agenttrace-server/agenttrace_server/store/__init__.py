"""Keep traces: the contract every store fulfils, and the values that go in and out of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from agenttrace.accounting import Accounting, ModelUse
from agenttrace.fragments import Fragment
from agenttrace.models import (
    Agent,
    Checkpoint,
    FailureAnnotation,
    Message,
    Review,
    Severity,
    Span,
    SpanEvent,
    Trace,
)
from agenttrace_server.rejected import Rejected as Rejected
from agenttrace_server.shown import Thresholds
from agenttrace_server.store.joins import JoinedRows, Joins
from agenttrace_server.store.replays import Replays

if TYPE_CHECKING:
    from agenttrace_server.store.batch import Batch

SpanKey = tuple[str, str]
"""A trace id and a span id."""

TraceStatus = Literal["running", "ok", "error"]
Size = Literal["any", "small", "large"]
"""Which traces: those of more than `derive.LARGE` spans are large."""
SortKey = Literal["start", "duration", "spans", "messages", "failures", "tokens", "cost"]


class TraceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces: those that fulfil all of it. Times are Unix nanoseconds; None means any.

    `q` is free text over names, inputs, outputs and message contents; `failure` a mode, a category
    or a subcategory. Unless `joined`, traces come as they were recorded, not the joined ones they
    may be parts of.
    """

    service: str | None = None
    framework: str | None = None
    agent: str | None = None
    status: TraceStatus | None = None
    failure: str | None = None
    q: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    joined: bool = True


class TraceQuery(TraceFilter, frozen=True, kw_only=True):
    """Which traces, in which order, and which page of them.

    `descending` applies to `sort`. `after` is the id of the trace that the page begins behind:
    unlike an offset it costs the same on every page.
    """

    offset: int = 0
    limit: int = 50
    after: str | None = None
    sort: SortKey = "start"
    descending: bool = True


EVERY_TRACE = TraceFilter()


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the trace list.

    `running` until the root span has arrived, then `error` if the root failed, else `ok`.
    `analysed` says whether what was derived covers every span that is stored. `parts` says how many
    traces were joined to this one (0: it is as it was recorded), `part_of` of which one it is part.
    """

    trace_id: str
    name: str
    service_name: str
    frameworks: tuple[str, ...]
    status: TraceStatus
    start_ns: int
    end_ns: int
    span_count: int
    error_count: int
    agents: tuple[str, ...]
    message_count: int
    failure_count: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    session: str | None
    replay_of: str | None
    replay_id: str | None
    analysed: bool
    version: int
    parts: int = 0
    part_of: str | None = None


class Page(msgspec.Struct, frozen=True):
    """A part of a longer list; `total` counts all of it."""

    items: tuple[TraceSummary, ...]
    total: int
    offset: int
    limit: int


BY_HAND = "person"
"""The classifier of findings that people added."""


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What a person changes about a finding beside their verdict; None leaves it as it is."""

    comment: str | None = None
    mode: str | None = None
    category: str | None = None
    subcategory: str | None = None
    severity: Severity | None = None
    decisive: bool | None = None


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A step a failed run may have gone wrong at; `score` is its share of the likelihood, 0 to 1.

    `quote` is how what was said there begins.
    """

    agent: str
    span_id: str | None = None
    message_id: str | None = None
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    quote: str = ""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What people made of one classifier's findings of one mode.

    `corrected` were something else than the classifier said; `missed` people added by hand.
    """

    mode: str
    category: str
    subcategory: str
    classifier: str
    confirmed: int = 0
    rejected: int = 0
    corrected: int = 0
    missed: int = 0


class JudgeUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the judge's model was called for, and why the newest call came to nothing if it did."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    error: str | None = None


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What was derived from one trace at one version of it; replaces what was derived before.

    `owners` maps span ids to the agent whose work the span is; `decisive` ranks the steps that may
    have decided a failure, the likeliest first; `accounting` says which model calls were counted,
    `used` what each model took; by its `fragment` the trace is joined to others of the same run.
    """

    agents: tuple[Agent, ...] = ()
    messages: tuple[Message, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    failures: tuple[FailureAnnotation, ...] = ()
    graph: dict[str, Any] = {}
    owners: dict[str, str] = {}
    decisive: tuple[Suspect, ...] = ()
    accounting: Accounting = Accounting()
    used: tuple[ModelUse, ...] | None = None
    fragment: Fragment | None = None


class Claimed(msgspec.Struct, frozen=True):
    """A trace to analyse, at the version seen when it was claimed."""

    trace_id: str
    version: int


class SpanColumns(msgspec.Struct, frozen=True, kw_only=True):
    """Every span of a trace without its bodies, one list per field, in start order.

    `parent` is the parent's row, -1 for a root, -2 where the parent never arrived. `start_us` is
    microseconds after `start_ns`. `name`, `kind`, `agent`, `model` index into the string tables of
    the plural name (-1: none). `status` is 0 unset, 1 ok, 2 error. `missing` maps the span ids of
    parents that never arrived to their children's rows; `joined` says where the parts of a joined
    trace begin.
    """

    trace_id: str
    start_ns: int
    span_id: list[str]
    parent: list[int]
    start_us: list[int]
    duration_us: list[int]
    name: list[int]
    kind: list[int]
    agent: list[int]
    model: list[int]
    status: list[int]
    tokens: list[int]
    names: list[str]
    kinds: list[str]
    agents: list[str]
    models: list[str]
    missing: dict[str, list[int]] = {}
    joined: list[JoinedRows] = []


class Change(msgspec.Struct, frozen=True):
    """A trace that was written or analysed; `cursor` grows with every change."""

    cursor: int
    trace_id: str
    version: int
    analysed: bool


class Pool(msgspec.Struct, frozen=True):
    """How many of a store's connections are in use, of how many it may open."""

    in_use: int
    most: int


class Store(Protocol):
    """Keeps traces. Every method is safe to call from any thread.

    Raises `StoreUnavailable` where the database cannot be reached, is full or cannot be written.
    """

    @property
    def replays(self) -> Replays:
        """The replays of the same project."""

    @property
    def joins(self) -> Joins:
        """Which traces of the same project are fragments of one run."""

    @property
    def project_id(self) -> int:
        """The number of the project, of which every row of it has a column."""

    def write(self, spans: Sequence[Span]) -> None:
        """Return only once every span is durable. Writing a span twice leaves one copy.

        Of several versions of a span the one that ended last is kept, of those the one with the
        most events. Raises another error than `StoreUnavailable` where a span cannot be stored at
        all, and then stores none.
        """

    def write_batch(self, batch: "Batch") -> None:
        """Like `write`, of spans of this project that were made ready before."""

    def trace(self, trace_id: str) -> Trace | None:
        """Return every span of the trace in start order with what was derived, or None.

        Spans of a trace still running MAY be missing.
        """

    def spans(self, trace_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
        """Return the spans of those of the traces that are there, each trace's in start order."""

    def summary(self, trace_id: str) -> TraceSummary | None:
        """Return the trace's row of the list, or None."""

    def traces(self, query: TraceQuery) -> Page:
        """Return one page of traces."""

    def columns(self, trace_id: str) -> SpanColumns | None:
        """Return the skeleton of every span of the trace, or None if there is no such trace."""

    def span(self, trace_id: str, span_id: str) -> Span | None:
        """Return one span, whole, or None."""

    def agents(self, trace_id: str) -> tuple[Agent, ...]:
        """Return the agents of a trace in order of appearance."""

    def messages(self, trace_id: str) -> tuple[Message, ...]:
        """Return the messages of a trace in the order they were sent."""

    def checkpoints(self, trace_id: str) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of a trace in the order they were made."""

    def failures(self, trace_id: str) -> tuple[FailureAnnotation, ...]:
        """Return the failures of a trace, decisive ones first, then by confidence."""

    def graph(self, trace_id: str) -> dict[str, Any] | None:
        """Return the agent graph stored by the last analysis, or None before the first."""

    def suspects(self, trace_id: str) -> tuple[Suspect, ...]:
        """Return the steps that may have decided the trace's failure, the likeliest first."""

    def review(
        self,
        annotation_id: str,
        review: Review | None,
        reviewer: str | None,
        correction: Correction = Correction(),
    ) -> FailureAnnotation:
        """Keep what a person decided about a failure; later analyses do not undo it.

        None leaves the verdict, but a corrected mode confirms. Raises `FailureNotFound`.
        """

    def add_failure(self, failure: FailureAnnotation) -> FailureAnnotation:
        """Store a finding made by hand, of a trace that is there; later analyses keep it."""

    def remove_failure(self, annotation_id: str) -> None:
        """Delete a finding made by hand. Raises `FailureNotFound`, or `NotByHand`."""

    def show_from(self, thresholds: Thresholds) -> None:
        """Count and filter by these thresholds from now on, traces stored before included."""

    def agreement(self) -> list[Agreement]:
        """Return what people made of the findings, by mode and classifier."""

    def reviewed(self, after: str = "", limit: int = 100) -> list[str]:
        """Return ids of traces with a finding that people decided on, those after `after`."""

    def judgement(self, trace_id: str, transcript_hash: str) -> str | None:
        """Return what `keep_judgement` was given for this transcript, or None."""

    def keep_judgement(self, trace_id: str, transcript_hash: str, findings: str) -> None:
        """Keep a judge's findings (JSON) in place of those of other transcripts of the trace."""

    def judge_called(
        self,
        model: str,
        tokens_in: int,
        tokens_out: int,
        cost_usd: float,
        error: str | None = None,
    ) -> None:
        """Keep what a call of the judge's model cost, or why it came to nothing."""

    def judge_use(self, since_ns: int = 0) -> JudgeUse:
        """Return what the judge's model was called for since then."""

    def look_again(self, trace_id: str) -> None:
        """Have a trace analysed once more, after the analysis that MAY be under way."""

    def delete(self, trace_id: str) -> bool:
        """Delete all of a trace, of a joined one every part; return whether there was one."""

    def accounting(self, trace_id: str) -> Accounting | None:
        """Return which model calls the last analysis counted, or None before the first."""

    def expire(self, before_ns: int) -> int:
        """Delete the traces that ended before a time; return how many there were.

        Others MAY write meanwhile, and delete some of the same traces.
        """

    def claim(self, limit: int, quiet_seconds: float, size: Size = "any") -> list[Claimed]:
        """Return traces whose derived data is older than their spans and that nobody else claimed.

        They are at most `limit`, and fewer where they have many spans. A trace is due
        `quiet_seconds` after its last span, sooner if its root has arrived, later where it is large
        and never quiet. A claim that is followed neither by `save` nor by `hold` is given out again
        after ten seconds.
        """

    def hold(self, claims: Iterable[Claimed], seconds: float) -> None:
        """Keep claims for so long from now. One that was saved is not brought back."""

    def save(self, claimed: Claimed, analysis: Analysis) -> None:
        """Store what was derived. Reviews that people made are kept."""

    def save_all(self, found: Sequence[tuple[Claimed, Analysis]]) -> None:
        """Store what was derived from several traces in one transaction: all of it or nothing."""

    def cursor(self) -> int:
        """Return the cursor of the newest change, 0 before the first."""

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """Return what changed since cursor `after`, oldest first."""

    def await_change(self, seconds: float) -> None:
        """Return once another change MAY be there, at the latest after `seconds`."""

    def stats(self, wanted: TraceFilter = EVERY_TRACE) -> dict[str, Any]:
        """Return figures of these traces: see `statistics.stats`."""

    def keep_events(self, events: Mapping[SpanKey, Sequence[SpanEvent]]) -> None:
        """Keep events that came before their spans; they are kept for a day."""

    def kept_events(self, spans: Iterable[SpanKey]) -> dict[SpanKey, list[SpanEvent]]:
        """Return the events kept for these spans, in the order of their time."""

    def drop_events(self, spans: Iterable[SpanKey]) -> None:
        """Forget the events kept for these spans, which have them now."""

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Remember spans that were refused; only the newest few hundred are kept."""

    def rejected(self, limit: int = 100) -> tuple[Rejected, ...]:
        """Return the newest refused spans, newest first."""

    def ping(self) -> Pool:
        """Return how many connections are in use if the database answers; a replica must too.

        Else raise `StoreUnavailable`.
        """

    def close(self) -> None:
        """Let go of every connection."""
