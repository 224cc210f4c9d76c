"""Experiments: several what-ifs from one checkpoint, and a table of what came of them."""

import time
import uuid
from itertools import product
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request

from agenttrace.errors import ReplayNotFound
from agenttrace.jobs import ENDED
from agenttrace.messages import content_hash
from agenttrace_server.api import replays
from agenttrace_server.api.asked import Limit, Offset, StoreOf, ThresholdsOf, clean_id, problems
from agenttrace_server.api.models import Listing
from agenttrace_server.api.replay_models import (
    Baseline,
    Experiment,
    ExperimentResult,
    NewExperiment,
    Outcome,
)
from agenttrace_server.api.times import milliseconds, rfc3339
from agenttrace_server.diff import outcome, told
from agenttrace_server.replay import wishes
from agenttrace_server.shown import Thresholds
from agenttrace_server.store import Store, TraceSummary
from agenttrace_server.store.replays import Experiment as Stored
from agenttrace_server.store.replays import Replay, ReplayQuery, Worker

router = APIRouter(tags=["experiments"])

MOST_REPLAYS = 500


@router.post(
    "/experiments", operation_id="startExperiment", status_code=201, responses=problems(404, 409)
)
def start_experiment(
    request: Request, store: StoreOf, thresholds: ThresholdsOf, new: NewExperiment
) -> ExperimentResult:
    """Start every variant of a what-if, each as often as asked for, from one checkpoint."""
    wish = replays.wish_of(new)
    checkpoint = wishes.checkpoint_of(store, wish)
    experiment = Stored(
        uuid.uuid4().hex,
        new.name or checkpoint.label or checkpoint.checkpoint_id,
        checkpoint.checkpoint_id,
        checkpoint.trace_id,
        time.time_ns(),
    )
    wanted = [
        msgspec.structs.replace(
            wish,
            checkpoint_id=checkpoint.checkpoint_id,
            message_id=None,
            trace_id=checkpoint.trace_id,
            edits=tuple(edit.model_dump() for edit in variant.edits),
            label=variant.label or f"variant {number}",
            experiment_id=experiment.experiment_id,
            place=place,
        )
        for place, ((number, variant), _) in enumerate(
            product(enumerate(new.variants, 1), range(new.repeats))
        )
    ]
    wishes.start(store, wanted)
    store.replays.add_experiment(experiment)
    request.app.state.bell.ring()
    return _result(store, thresholds, experiment)


@router.get("/experiments", operation_id="listExperiments", responses=problems())
def list_experiments(store: StoreOf, offset: Offset = 0, limit: Limit = 50) -> Listing[Experiment]:
    """List experiments, newest first."""
    found, total = store.replays.experiments(limit, offset)
    items = [Experiment(**_values(one, _replays(store, one.experiment_id))) for one in found]
    return Listing(items=items, total=total, offset=offset, limit=limit)


@router.get("/experiments/{experiment_id}", operation_id="getExperiment", responses=problems(404))
def get_experiment(
    request: Request,
    store: StoreOf,
    thresholds: ThresholdsOf,
    experiment_id: Annotated[str, Path(max_length=100)],
) -> ExperimentResult:
    """Return an experiment with a row for each of its replays, and the original run's beside."""
    replays.settle(request, store)
    experiment = store.replays.experiment(clean_id(experiment_id))
    if experiment is None:
        raise ReplayNotFound(f"There is no experiment {experiment_id!r}")
    return _result(store, thresholds, experiment)


def _result(store: Store, thresholds: Thresholds, experiment: Stored) -> ExperimentResult:
    found = _replays(store, experiment.experiment_id)
    baseline = _baseline(store, thresholds, experiment.source_trace_id)
    workers = store.replays.workers()
    return ExperimentResult(
        **_values(experiment, found),
        baseline=baseline,
        outcomes=[_outcome(store, thresholds, replay, baseline, workers) for replay in found],
    )


def _replays(store: Store, experiment_id: str) -> list[Replay]:
    query = ReplayQuery(experiment=experiment_id, limit=MOST_REPLAYS)
    return sorted(store.replays.page(query)[0], key=lambda replay: replay.place)


def _values(experiment: Stored, found: list[Replay]) -> dict[str, object]:
    values = msgspec.structs.asdict(experiment)
    values["created_at"] = rfc3339(values.pop("created_ns"))
    return values | {"done": sum(r.status in ENDED for r in found), "total": len(found)}


def _baseline(store: Store, thresholds: Thresholds, trace_id: str) -> Baseline | None:
    trace, summary = store.trace(trace_id), store.summary(trace_id)
    if trace is None or summary is None:
        return None
    return Baseline(
        trace_id=trace_id,
        output=outcome(trace),
        failures=_failures(store, thresholds, trace_id),
        **_figures(summary),
    )


def _outcome(
    store: Store,
    thresholds: Thresholds,
    replay: Replay,
    baseline: Baseline | None,
    workers: list[Worker],
) -> Outcome:
    summary = store.summary(replay.trace_id) if replay.trace_id else None
    output = told(replay.output)
    known = output is not None and baseline is not None and baseline.output is not None
    blank = dict.fromkeys(("failure_count", "tokens_in", "tokens_out", "cost_usd", "duration_ms"))
    return Outcome(
        replay=replays.show(replay, workers),
        output=output,
        same_output=content_hash(output or "") == content_hash(baseline.output or "")
        if known and baseline
        else None,
        failures=_failures(store, thresholds, summary.trace_id)
        if summary and summary.analysed
        else None,
        **(_figures(summary) if summary else blank),
    )


def _failures(store: Store, thresholds: Thresholds, trace_id: str) -> list[str]:
    """The modes of the failures that are shown, each once, in the order of their weight."""
    found = filter(thresholds.show, store.failures(trace_id))
    return list(dict.fromkeys(one.mode for one in found))


def _figures(summary: TraceSummary) -> dict[str, int | float | None]:
    return {
        "failure_count": summary.failure_count,
        "tokens_in": summary.tokens_in,
        "tokens_out": summary.tokens_out,
        "cost_usd": summary.cost_usd,
        "duration_ms": milliseconds(summary.end_ns - summary.start_ns),
    }
