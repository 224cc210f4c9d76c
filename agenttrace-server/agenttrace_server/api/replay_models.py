"""What goes over HTTP about replays, workers, experiments and comparisons."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agenttrace.jobs import Mode, Status
from agenttrace_server.api.findings import Failure
from agenttrace_server.api.models import Model
from agenttrace_server.replay.wishes import Otherwise

Tier = Literal["restored", "recorded", "live"]
Name = Annotated[str, Field(max_length=500)]
LiveTools = list[Name] | Literal["all"]


class Asked(BaseModel):
    """A request: a field that is misspelt is refused."""

    model_config = ConfigDict(extra="forbid")


class Edit(Asked):
    """A change of a checkpoint's state: the value at `path`, a JSON Pointer or dotted."""

    path: str = Field(max_length=2000)
    value: Any = None


class Start(Asked):
    """Where to begin, and how to run.

    `checkpoint_id`, or `message_id` to begin just before that message was sent; `trace_id` where
    several traces have it. In mode `recorded`, unchanged model calls are answered from the record;
    in mode `live` none is. Tools run only if `live_tools` names them (or is `all`). `target` is the
    name given to `replayable()`, where several could be meant. `otherwise` says what to do when no
    worker is connected: `simulate` (the default of recorded replays), `queue` or `refuse`.
    """

    checkpoint_id: Name | None = None
    message_id: Name | None = None
    trace_id: Name | None = None
    mode: Mode = "recorded"
    live_tools: LiveTools = []
    target: Name | None = None
    timeout_seconds: float = Field(600.0, gt=0, le=86_400)
    otherwise: Otherwise | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Start":
        if (self.checkpoint_id is None) == (self.message_id is None):
            raise ValueError("give checkpoint_id or message_id")
        return self


class NewReplay(Start):
    """One replay to start."""

    edits: list[Edit] = Field([], max_length=100)
    label: Name = ""


class Variant(Asked):
    """One thing to try in an experiment."""

    label: Name = ""
    edits: list[Edit] = Field([], max_length=100)


class NewExperiment(Start):
    """Several replays of one checkpoint: every variant, each `repeats` times."""

    name: Name = ""
    variants: list[Variant] = Field([Variant()], min_length=1, max_length=100)
    repeats: int = Field(1, ge=1, le=100)

    @model_validator(mode="after")
    def _not_too_many(self) -> "NewExperiment":
        if len(self.variants) * self.repeats > 500:
            raise ValueError("an experiment has at most 500 replays")
        return self


class TierCounts(Model):
    """How many model and tool calls were restored, answered from the record, and run live."""

    restored: int
    recorded: int
    live: int


class Step(Model):
    """What a replay did, or would do, with one call, and why; its span is in `trace_id`."""

    trace_id: str
    span_id: str
    kind: str
    agent: str | None
    name: str
    tier: Tier | Literal["stopped"]
    why: str


class Replay(Model):
    """A replay as it is now.

    `steps` is there of a simulated one, and of one that has ended where it is asked for by its id.
    `note` says what a queued one waits for.
    """

    replay_id: str
    checkpoint_id: str
    source_trace_id: str
    trace_id: str | None
    framework: str
    target: str | None
    mode: Mode
    edits: list[Edit]
    live_tools: LiveTools
    timeout_seconds: float
    label: str
    experiment_id: str | None
    status: Status
    attempt: int
    worker_id: str | None
    cancel: bool
    error: str | None
    output: str | None
    counts: TierCounts
    steps: list[Step] | None
    note: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    duration_ms: float | None


class Relative(Model):
    """A trace of a family of replays; `status` is `deleted` where it is gone."""

    trace_id: str
    replay_of: str | None
    replay_id: str | None
    name: str
    status: str
    start_time: str


class Family(Model):
    """A trace, what it is a replay of, and every replay of any of these; by start."""

    trace_id: str
    members: list[Relative]


class Outcome(Model):
    """What came of one replay of an experiment; what is not known yet is null."""

    replay: Replay
    output: str | None
    same_output: bool | None
    failures: list[str] | None
    failure_count: int | None
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    duration_ms: float | None


class Baseline(Model):
    """The run that an experiment's replays began in, as the outcomes show it."""

    trace_id: str
    output: str | None
    failures: list[str]
    failure_count: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    duration_ms: float


class Experiment(Model):
    """Several replays of one checkpoint; `done` counts those that have ended."""

    experiment_id: str
    name: str
    checkpoint_id: str
    source_trace_id: str
    created_at: str
    done: int
    total: int


class ExperimentResult(Experiment):
    """An experiment with what came of it so far, and what the original run came to."""

    baseline: Baseline | None
    outcomes: list[Outcome]


class WorkerTarget(Model):
    """What a worker can run again."""

    name: str
    framework: str


class Worker(Model):
    """A process of a user's that runs replays."""

    worker_id: str
    name: str
    targets: list[WorkerTarget]
    seen_at: str


class Workers(Model):
    """The workers that are connected now."""

    items: list[Worker]


class Orders(Model):
    """What a worker has to do about its job."""

    cancel: bool


class Piece(Model):
    """A part of a text: in both, only in the left one, or only in the right one."""

    op: Literal["same", "removed", "added"]
    text: str


class Said(Model):
    """A message as a comparison shows it; `content` is left out where both sides say the same."""

    message_id: str
    span_id: str
    sender: str
    recipient: str
    type: str
    content: str | None
    sent_at: str


class DiffRow(Model):
    """A message of the left run, its counterpart of the right one, or both.

    `restored` ones lie before the checkpoint a replay began at. `words` is there of changed ones,
    but for very many.
    """

    change: Literal["same", "changed", "removed", "added", "restored"]
    left: Said | None
    right: Said | None
    similarity: float
    words: list[Piece] | None


class Figures(Model):
    """What one run took, from where the two are compared."""

    duration_ms: float
    spans: int
    messages: int
    llm_calls: int
    tool_calls: int
    errors: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class Outputs(Model):
    """What both runs came to."""

    left: str | None
    right: str | None
    same: bool
    words: list[Piece] | None


class Diff(Model):
    """What differs between two runs.

    `same` says that no message differs, `first_divergence` is the place in `rows` of the first that
    does. `left` and `right` are figures, of a replay's original those since the checkpoint.
    """

    left_trace_id: str
    right_trace_id: str
    same: bool
    first_divergence: int | None
    rows: list[DiffRow]
    counts: dict[str, int]
    outputs: Outputs
    failures_gained: list[Failure]
    failures_lost: list[Failure]
    left: Figures
    right: Figures
