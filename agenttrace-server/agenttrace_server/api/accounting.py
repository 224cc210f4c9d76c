"""Accounting: what the model calls of a trace took, and how that compares with its roll-ups."""

from fastapi import APIRouter

from agenttrace.accounting import Accounting as Stored
from agenttrace_server.api.asked import StoreOf, TraceId, found, problems
from agenttrace_server.api.models import Model

router = APIRouter(tags=["accounting"])


class Usage(Model):
    """Tokens, and US dollars where known."""

    tokens_in: int
    tokens_out: int
    cost_usd: float | None


class RollUp(Model):
    """What a span that is no model call said it took, and what the calls beneath it add up to."""

    span_id: str
    name: str
    said: Usage
    beneath: Usage


class SeenTwice(Model):
    """A span that shows a model call again that is counted at the span `counted`."""

    span_id: str
    counted: str


class Accounting(Model):
    """What the model calls of a trace took, each counted once.

    `silent` of the `calls` did not say what they took. `root_said` is what the outermost roll-ups
    add up to, null where there is none: it is compared with `leaves`, never added.
    """

    trace_id: str
    calls: int
    silent: int
    leaves: Usage
    root_said: Usage | None
    roll_ups: list[RollUp]
    seen_twice: list[SeenTwice]


@router.get("/traces/{trace_id}/accounting", operation_id="getAccounting", responses=problems(404))
def get_accounting(store: StoreOf, trace_id: TraceId) -> Accounting:
    """Return which model calls were counted, as of the last analysis."""
    summary = found(store, trace_id)
    stored = store.accounting(summary.trace_id) or Stored()
    return Accounting(
        trace_id=summary.trace_id,
        calls=stored.calls,
        silent=stored.silent,
        leaves=Usage.model_validate(stored.leaves),
        root_said=Usage.model_validate(stored.root_said) if stored.root_said else None,
        roll_ups=[RollUp.model_validate(one) for one in stored.roll_ups],
        seen_twice=[SeenTwice.model_validate(one) for one in stored.seen_twice],
    )
