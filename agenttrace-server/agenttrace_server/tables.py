"""The tables of AgentTrace, as SQLModel classes; the migrations in `migrations/` create them.

Times are Unix nanoseconds in a BIGINT, structured values are JSON text: both databases keep them
exactly. Every table carries `project_id`.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text
from sqlmodel import Field, SQLModel

BigInt = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer; on SQLite an INTEGER, which as a primary key is the row id itself."""

CLUSTERED = {"sqlite_with_rowid": False}
"""Keep the rows in the order of the primary key on SQLite, so that one trace's are neighbours."""


def _big(**options: Any) -> Any:
    return Field(sa_column=Column(BigInt, **({"nullable": False} | options)))


def _text(**options: Any) -> Any:
    return Field(sa_column=Column(Text, **({"nullable": False} | options)))


def _key() -> Any:
    return Field(primary_key=True, sa_type=Text)


def _project() -> Any:
    return Field(default=1, primary_key=True)


class Row(SQLModel):
    """What every table class is; it holds the metadata that Alembic compares with a database."""

    metadata = MetaData()


class Project(Row, table=True):
    """A separate world of traces; the first migration makes one, `default`."""

    __tablename__ = "projects"
    project_id: int = _big(primary_key=True, autoincrement=False)
    name: str = _text(unique=True)


class Counter(Row, table=True):
    """A number that only grows: the last one given to a `body`, `document`, `cursor` and so on.

    `searchable` is the last body that the full-text index covers, `searchable_messages` the last
    message. `thresholds` does not grow: it stands for the confidence that the traces' counts of
    failures were made with.
    """

    __tablename__ = "counters"
    name: str = _key()
    value: int = _big()


class TraceRow(Row, table=True):
    """One run. Its counts are kept exact while spans arrive, in any order and more than once.

    `head_*` name the span that gives the trace its name, service and status: the first root, or the
    first span while there is no root (`head_rank` 1). `parts` says of how many traces a joined one
    is made, `part_of` to which joined trace another belongs; see `store/joining.py`.
    """

    __tablename__ = "traces"
    __table_args__ = (
        Index("ix_traces_start_time", "project_id", "part_of", "start_time"),
        Index("ix_traces_service_name", "project_id", "service_name", "start_time"),
        Index("ix_traces_status", "project_id", "status", "start_time"),
        Index("ix_traces_cursor", "cursor", unique=True),
        *(
            Index(
                f"ix_traces_{column}",
                "project_id",
                column,
                sqlite_where=text(f"{column} IS NOT NULL"),
                postgresql_where=text(f"{column} IS NOT NULL"),
            )
            for column in ("replay_id", "replay_of")
        ),
        Index(
            "ix_traces_due",
            "written_at",
            sqlite_where=text("analysed_version < version"),
            postgresql_where=text("analysed_version < version"),
        ),
    )
    project_id: int = _project()
    trace_id: str = _key()
    name: str = _text()
    service_name: str = _text()
    services: str = _text()
    frameworks: str = _text()
    agents: str = _text()
    status: str = _text()
    start_time: int = _big()
    end_time: int = _big()
    duration: int = _big()
    span_count: int = _big()
    error_count: int = _big()
    message_count: int = _big()
    failure_count: int = _big()
    tokens_in: int = _big()
    tokens_out: int = _big()
    cost_usd: float | None = None
    session: str | None = _text(nullable=True)
    replay_of: str | None = _text(nullable=True)
    replay_id: str | None = _text(nullable=True)
    head_rank: int
    head_time: int = _big()
    head_span_id: str = _text()
    version: int = _big()
    analysed_version: int = _big()
    cursor: int = _big()
    written_at: int = _big()
    dirty_since: int = _big()
    claimed_until: int = _big()
    part_of: str = _text(server_default="")
    parts: int = Field(0, sa_column_kwargs={"server_default": "0"})


class FragmentRow(Row, table=True):
    """What of a trace tells with which others it belongs, and what came of that.

    It belongs to the joined trace `joined_id` (empty: to none) because of the `reason` that it has
    in common with `joined_to`. `apart` says that a person undid this, `by_hand` with which traces
    people joined it.
    """

    __tablename__ = "fragments"
    __table_args__ = (Index("ix_fragments_joined_id", "project_id", "joined_id"),)
    project_id: int = _project()
    trace_id: str = _key()
    joined_id: str = _text()
    joined_to: str | None = _text(nullable=True)
    reason: str | None = _text(nullable=True)
    apart: int
    by_hand: str = _text()
    facts: str = _text()


class JoinKey(Row, table=True):
    """Something by which fragments of one run find each other."""

    __tablename__ = "join_keys"
    __table_args__ = (Index("ix_join_keys_key", "project_id", "key", "start_time"), CLUSTERED)
    project_id: int = _project()
    trace_id: str = _key()
    key: str = _key()
    start_time: int = _big()
    end_time: int = _big()


class TraceFacet(Row, table=True):
    """A value that traces are filtered by: `facet` is `service` or `framework`."""

    __tablename__ = "trace_facets"
    __table_args__ = (Index("ix_trace_facets_trace_id", "trace_id"), CLUSTERED)
    project_id: int = _project()
    facet: str = _key()
    value: str = _key()
    trace_id: str = _key()


class SpanRow(Row, table=True):
    """What lists and drawings need of a span; the rest is in `span_bodies`."""

    __tablename__ = "spans"
    __table_args__ = (
        Index("ix_spans_parent_span_id", "parent_span_id"),
        Index("ix_spans_start_time", "start_time"),
        CLUSTERED,
    )
    project_id: int = _project()
    trace_id: str = _key()
    span_id: str = _key()
    start_time: int = Field(primary_key=True, sa_type=BigInteger)
    end_time: int = _big()
    parent_span_id: str | None = _text(nullable=True)
    name: str = _text()
    kind: str = _text()
    status: int
    failed: int
    framework: str | None = _text(nullable=True)
    agent: str | None = _text(nullable=True)
    model: str | None = _text(nullable=True)
    tokens_in: int | None = _big(nullable=True)
    tokens_out: int | None = _big(nullable=True)
    cost_usd: float | None = None
    scope_id: int = _big()
    body_id: int = _big()


class SpanBody(Row, table=True):
    """The bulky rest of a span, as JSON; ids grow in the order of arrival."""

    __tablename__ = "span_bodies"
    body_id: int = _big(primary_key=True, autoincrement=False)
    start_time: int = _big()
    project_id: int
    trace_id: str = _text()
    span_id: str = _text()
    body: str = _text()


class DocumentRow(Row, table=True):
    """One document of the full-text index: texts of one trace under the numbers `first` to `last`.

    `source` is `span`, whose numbers are those of the bodies, or `message`.
    """

    __tablename__ = "documents"
    __table_args__ = (Index("ix_documents_trace_id", "trace_id"),)
    doc: int = _big(primary_key=True, autoincrement=False)
    project_id: int
    trace_id: str = _text()
    source: str = _text()
    first: int = _big()
    last: int = _big()


class WaitingEvent(Row, table=True):
    """A log event whose span has not arrived; the id is a hash of its content."""

    __tablename__ = "waiting_events"
    __table_args__ = (Index("ix_waiting_events_at", "at"), CLUSTERED)
    project_id: int = _project()
    trace_id: str = _key()
    span_id: str = _key()
    event_id: int = Field(primary_key=True, sa_type=BigInteger)
    at: int = _big()
    event: str = _text()


class ScopeRow(Row, table=True):
    """An instrumentation scope and its resource, kept once; the id is a hash of the content."""

    __tablename__ = "scopes"
    project_id: int = _project()
    scope_id: int = Field(primary_key=True, sa_type=BigInteger)
    service_name: str = _text()
    scope: str = _text()


class TraceScope(Row, table=True):
    """Which scopes a trace uses, so that deleting the last such trace deletes the scope."""

    __tablename__ = "trace_scopes"
    __table_args__ = (Index("ix_trace_scopes_scope_id", "scope_id"), CLUSTERED)
    project_id: int = _project()
    trace_id: str = _key()
    scope_id: int = Field(primary_key=True, sa_type=BigInteger)


class AnalysisRow(Row, table=True):
    """What the last analysis of a trace found that has no table of its own."""

    __tablename__ = "analyses"
    project_id: int = _project()
    trace_id: str = _key()
    graph: str = _text()
    owners: str = _text()
    decisive: str = _text(server_default="[]")
    accounting: str = _text(server_default="{}")


class AgentRow(Row, table=True):
    """A participant of one trace; `framework` is empty where none is known."""

    __tablename__ = "agents"
    __table_args__ = (Index("ix_agents_trace_id", "trace_id"), CLUSTERED)
    project_id: int = _project()
    name: str = _key()
    framework: str = _key()
    trace_id: str = _key()
    position: int
    role: str | None = _text(nullable=True)
    models: str = _text()
    tools: str = _text()
    spans: int = _big()
    errors: int = _big()
    tokens_in: int = _big()
    tokens_out: int = _big()
    cost_usd: float | None = None
    first_time: int = _big()
    last_time: int = _big()
    busy: int = _big()


class TraceModel(Row, table=True):
    """What one model did in one trace, counted on leaf LLM spans."""

    __tablename__ = "trace_models"
    __table_args__ = (CLUSTERED,)
    project_id: int = _project()
    trace_id: str = _key()
    model: str = _key()
    calls: int = _big()
    errors: int = _big()
    tokens_in: int = _big()
    tokens_out: int = _big()
    cost_usd: float | None = None


class MessageRow(Row, table=True):
    """One thing one agent said to another."""

    __tablename__ = "agent_messages"
    __table_args__ = (
        Index("ix_agent_messages_trace_id", "project_id", "trace_id", "message_id", unique=True),
        Index("ix_agent_messages_sender", "sender"),
        Index("ix_agent_messages_recipient", "recipient"),
    )
    message_no: int = _big(primary_key=True, autoincrement=False)
    project_id: int
    trace_id: str = _text()
    message_id: str = _text()
    span_id: str = _text()
    sender: str = _text()
    recipient: str = _text()
    type: str = _text()
    content: str = _text()
    content_hash: str = _text()
    sent_at: int = _big()
    caused_by: str | None = _text(nullable=True)
    audience: str = _text()
    tokens: int | None = _big(nullable=True)
    provenance: str = _text()
    confidence: float


class CheckpointRow(Row, table=True):
    """A moment a run can go back to."""

    __tablename__ = "checkpoints"
    __table_args__ = (Index("ix_checkpoints_checkpoint_id", "checkpoint_id"),)
    project_id: int = _project()
    trace_id: str = _key()
    checkpoint_id: str = _key()
    position: int
    span_id: str = _text()
    framework: str = _text()
    label: str = _text()
    state: str = _text()
    input: str | None = _text(nullable=True)
    config: str | None = _text(nullable=True)
    created_at: int = _big()
    resumable: int
    why_not: str | None = _text(nullable=True)


class FailureRow(Row, table=True):
    """One thing that went wrong, and what a person said about it."""

    __tablename__ = "failure_annotations"
    __table_args__ = (
        Index("ix_failure_annotations_annotation_id", "annotation_id"),
        Index("ix_failure_annotations_mode", "mode"),
        Index("ix_failure_annotations_category", "category"),
        Index("ix_failure_annotations_subcategory", "subcategory"),
        Index("ix_failure_annotations_severity", "severity"),
        CLUSTERED,
    )
    project_id: int = _project()
    trace_id: str = _key()
    annotation_id: str = _key()
    mode: str = _text()
    category: str = _text()
    subcategory: str = _text()
    classifier: str = _text()
    span_id: str | None = _text(nullable=True)
    message_id: str | None = _text(nullable=True)
    agent: str | None = _text(nullable=True)
    severity: str = _text()
    confidence: float
    evidence: str = _text()
    explanation: str = _text()
    decisive: int
    review: str = _text()
    reviewer: str | None = _text(nullable=True)
    reviewed_at: int | None = _big(nullable=True)
    comment: str = _text(server_default="")
    found_mode: str | None = _text(nullable=True)
    also_by: str = _text(server_default="[]")


class JudgementRow(Row, table=True):
    """What a model found in one transcript of a trace; the hash stands for all that it was told."""

    __tablename__ = "judgements"
    __table_args__ = (CLUSTERED,)
    project_id: int = _project()
    trace_id: str = _key()
    transcript_hash: str = _key()
    at: int = _big()
    findings: str = _text()


class JudgeCall(Row, table=True):
    """One call of the judge's model and what it cost, or why it came to nothing.

    It outlives the trace it was about.
    """

    __tablename__ = "judge_calls"
    __table_args__ = (Index("ix_judge_calls_at", "at"),)
    project_id: int = _project()
    call_id: str = _key()
    at: int = _big()
    model: str = _text()
    tokens_in: int = _big()
    tokens_out: int = _big()
    cost_usd: float
    error: str | None = _text(nullable=True)


class ReplayRow(Row, table=True):
    """A wish to run again from a checkpoint, and what became of it.

    A row that is `claimed` or `running` belongs to `worker_id` until `claimed_until`; `attempt`
    counts how often it was given out, `place` orders the replays of one experiment.
    """

    __tablename__ = "replays"
    __table_args__ = (
        Index("ix_replays_status", "status", "created_at"),
        Index("ix_replays_source", "project_id", "source_trace_id"),
        Index("ix_replays_trace_id", "project_id", "trace_id"),
        Index("ix_replays_experiment_id", "experiment_id"),
        Index("ix_replays_cursor", "cursor", unique=True),
    )
    project_id: int = _project()
    replay_id: str = _key()
    checkpoint_id: str = _text()
    source_trace_id: str = _text()
    trace_id: str | None = _text(nullable=True)
    framework: str = _text()
    target: str | None = _text(nullable=True)
    mode: str = _text()
    edits: str = _text()
    live_tools: str = _text()
    timeout_seconds: float
    label: str = _text()
    experiment_id: str | None = _text(nullable=True)
    place: int
    status: str = _text()
    attempt: int
    worker_id: str | None = _text(nullable=True)
    cancel: int
    error: str | None = _text(nullable=True)
    output: str | None = _text(nullable=True)
    counts: str = _text()
    steps: str | None = _text(nullable=True)
    created_at: int = _big()
    updated_at: int = _big()
    started_at: int | None = _big(nullable=True)
    ended_at: int | None = _big(nullable=True)
    claimed_until: int = _big()
    cursor: int = _big()


class ExperimentRow(Row, table=True):
    """Several replays of one checkpoint that are looked at together."""

    __tablename__ = "experiments"
    project_id: int = _project()
    experiment_id: str = _key()
    name: str = _text()
    checkpoint_id: str = _text()
    source_trace_id: str = _text()
    created_at: int = _big()


class WorkerRow(Row, table=True):
    """A process of the user's that can run replays."""

    __tablename__ = "workers"
    project_id: int = _project()
    worker_id: str = _key()
    name: str = _text()
    targets: str = _text()
    seen_at: int = _big()


class RejectedSpan(Row, table=True):
    """A span that was refused, and why."""

    __tablename__ = "rejected_spans"
    rejected_no: int = _big(primary_key=True, autoincrement=False)
    project_id: int
    at: int = _big()
    reason: str = _text()
    service_name: str = _text()
    trace_id: str = _text()
    span_id: str = _text()
    name: str = _text()


def table(row: Any) -> Table:
    """Return the table of a table class, for queries that build no objects."""
    return Row.metadata.tables[str(row.__tablename__)]
