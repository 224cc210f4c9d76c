"""Failures as they go over HTTP: what was found, what people say, where a run went wrong."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from agenttrace.models import Review, Severity
from agenttrace_server.api.models import Model


def _without_nul(text: str) -> str:
    return text.replace("\0", "")


Word = Annotated[str, AfterValidator(_without_nul), Field(max_length=200)]
Text = Annotated[str, AfterValidator(_without_nul), Field(max_length=10_000)]
Name = Annotated[str, AfterValidator(str.strip), AfterValidator(_without_nul), Field(min_length=1)]


class Failure(Model):
    """One thing that went wrong, pinned to where it did; `evidence` is a quote from the trace.

    `shown` says whether it is sure enough, or confirmed. `also_by` names further classifiers that
    found the same. `found_mode` is what the classifier said where a person changed the mode.
    """

    annotation_id: str
    trace_id: str
    mode: str
    category: str
    subcategory: str
    classifier: str
    also_by: list[str]
    span_id: str | None
    message_id: str | None
    agent: str | None
    severity: Severity
    confidence: float
    evidence: str
    explanation: str
    decisive: bool
    shown: bool
    review: Review
    reviewer: str | None
    reviewed_at: str | None
    comment: str
    found_mode: str | None


class FailureList(Model):
    """Failures of a trace; `total` counts those that were asked for, `hidden` the unsure ones.

    `hidden` are neither shown nor rejected: `?all=true` lists them too.
    """

    items: list[Failure]
    total: int
    offset: int
    limit: int
    hidden: int


class ReviewChange(BaseModel):
    """What a person decided about a failure; what is left out stays as it is.

    Another `mode` confirms the failure as that. `decisive` says that this is where the run went
    wrong.
    """

    model_config = ConfigDict(extra="forbid")

    review: Review | None = None
    mode: Annotated[Name, Field(max_length=100)] | None = None
    category: Word | None = None
    severity: Severity | None = None
    comment: Text | None = None
    decisive: bool | None = None
    reviewer: Word | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set - {"reviewer"}:
            raise ValueError("nothing to change: give a review, a mode, a comment or another field")
        return self


class NewFailure(BaseModel):
    """A failure that a person saw, of a span, a message or the run as a whole."""

    model_config = ConfigDict(extra="forbid")

    mode: Annotated[Name, Field(max_length=100)]
    category: Word | None = None
    span_id: Word | None = None
    message_id: Word | None = None
    agent: Word | None = None
    severity: Severity = "medium"
    evidence: Text = ""
    explanation: Text = ""
    comment: Text = ""
    decisive: bool = False
    reviewer: Word | None = None


class SuspectStep(Model):
    """A step at which the run may have gone wrong; `score` is its share of the likelihood.

    `failures` are ids of the shown failures that are pinned to this step.
    """

    agent: str
    span_id: str | None
    message_id: str | None
    score: float
    reasons: list[str]
    quote: str
    failures: list[str]


class SuspectAgent(Model):
    """An agent, with the likelihood that it decided the failure."""

    agent: str
    score: float


class Decisive(Model):
    """Where a failed run went wrong: steps and agents, the likeliest first.

    `named` says that a person named the first step. In a run that did not fail there are none.
    """

    trace_id: str
    failed: bool
    named: bool
    steps: list[SuspectStep]
    agents: list[SuspectAgent]


class FailureMode(Model):
    """A kind of failure there is a name for, and what it means."""

    mode: str
    category: str
    subcategory: str
    meaning: str


class ModeAgreement(Model):
    """What people made of one classifier's findings of one mode.

    `corrected` were something else than was said, `missed` were added by hand (the classifier is
    then `person`). `precision` is the share confirmed as they are, with its 95 % Wilson interval
    from `low` to `high`; null where nothing was reviewed.
    """

    mode: str
    category: str
    subcategory: str
    classifier: str
    confirmed: int
    rejected: int
    corrected: int
    missed: int
    precision: float | None
    low: float | None
    high: float | None
    threshold: float


class JudgeUse(Model):
    """What the judge's model was asked in the last 24 hours, and what it may cost in that time.

    `problem` says why it is not asked at all, or did not answer when it was asked last.
    """

    model: str
    calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float
    cap_usd: float
    problem: str | None


class AgreementReport(Model):
    """How far people agree with what was found; `judge` is null where none is configured."""

    items: list[ModeAgreement]
    confirmed: int
    rejected: int
    corrected: int
    missed: int
    precision: float | None
    threshold: float
    judge: JudgeUse | None
