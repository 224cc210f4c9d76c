"""How far people agree with what was found, and their verdicts as a labelled set."""

import math
import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from agenttrace_server.api.asked import StoreOf, ThresholdsOf, problems
from agenttrace_server.api.findings import (
    AgreementReport,
    FailureMode,
    JudgeUse,
    ModeAgreement,
)
from agenttrace_server.api.models import Listing
from agenttrace_server.encode.labelled import labelled
from agenttrace_server.judge import DAY_NS, terms
from agenttrace_server.settings import Settings
from agenttrace_server.shown import Thresholds
from agenttrace_server.store import Agreement, Store
from agenttrace_server.taxonomy import KNOWN

router = APIRouter(tags=["failures"])

JSON_LINES = "application/x-ndjson"


@router.get("/failure-modes", operation_id="listFailureModes", responses=problems())
def list_failure_modes(request: Request) -> Listing[FailureMode]:
    """List the kinds of failure that have a name here, and those of the rules as they are now.

    Classifiers and people may use any other name.
    """
    own = (rule.kind for rule in request.app.state.rules.agenttrace_classifiers())
    modes = {mode.mode: mode for mode in (*own, *KNOWN)}
    items = [FailureMode(**msgspec.structs.asdict(mode)) for mode in modes.values()]
    return Listing(items=items, total=len(items), offset=0, limit=len(items))


@router.get("/failures/agreement", operation_id="getAgreement", responses=problems())
def get_agreement(request: Request, store: StoreOf, thresholds: ThresholdsOf) -> AgreementReport:
    """Return the precision of each mode as people's reviews tell it."""
    rows = store.agreement()
    confirmed, rejected = sum(r.confirmed for r in rows), sum(r.rejected for r in rows)
    corrected = sum(r.corrected for r in rows)
    return AgreementReport(
        items=[_mode(row, thresholds) for row in rows],
        confirmed=confirmed,
        rejected=rejected,
        corrected=corrected,
        missed=sum(r.missed for r in rows),
        precision=wilson(confirmed, confirmed + rejected + corrected)[0],
        threshold=thresholds.others,
        judge=_judge(store, request.app.state.settings),
    )


@router.get(
    "/failures/labelled",
    operation_id="exportLabelled",
    response_class=StreamingResponse,
    responses={
        **problems(),
        200: {"description": "One run a line", "content": {JSON_LINES: {}}},
    },
)
def export_labelled(
    store: StoreOf,
    confirmed: Annotated[
        bool, Query(description="Only runs in which a failure was confirmed")
    ] = False,
) -> StreamingResponse:
    """Return every reviewed run with its steps and verdicts, as JSON lines.

    It is what `benchmarks/classification.py` and the trainer of the ranking read.
    """
    return StreamingResponse(
        _records(store, confirmed),
        media_type=JSON_LINES,
        headers={"Content-Disposition": 'attachment; filename="reviewed.jsonl"'},
    )


def wilson(right: int, total: int) -> tuple[float | None, float | None, float | None]:
    """Return a share with the ends of its 95 % interval (Wilson 1927)."""
    if not total:
        return None, None, None
    p, z = right / total, 1.96
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return round(p, 4), round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def _mode(row: Agreement, thresholds: Thresholds) -> ModeAgreement:
    precision, low, high = wilson(row.confirmed, row.confirmed + row.rejected + row.corrected)
    return ModeAgreement(
        **msgspec.structs.asdict(row),
        precision=precision,
        low=low,
        high=high,
        threshold=thresholds.of(row.mode),
    )


def _judge(store: Store, settings: Settings) -> JudgeUse | None:
    asked = terms(settings)
    if asked is None:
        return None
    used = store.judge_use(time.time_ns() - DAY_NS)
    unanswered = used.error and f"The judge {asked.model} did not answer: {used.error}"
    return JudgeUse(
        model=asked.model,
        calls=used.calls,
        tokens_in=used.tokens_in,
        tokens_out=used.tokens_out,
        cost_usd=used.cost_usd,
        cap_usd=asked.usd_per_day,
        problem=asked.problem or unanswered,
    )


def _records(store: Store, confirmed: bool) -> Iterator[bytes]:
    after = ""
    while trace_ids := store.reviewed(after):
        for trace_id in trace_ids:
            failures = store.failures(trace_id)
            if confirmed and not any(one.review == "confirmed" for one in failures):
                continue
            trace, summary = store.trace(trace_id), store.summary(trace_id)
            if trace is not None and summary is not None:
                yield msgspec.json.encode(labelled(trace, summary, failures)) + b"\n"
        after = trace_ids[-1]
