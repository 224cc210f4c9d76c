"""Traces: list, look at, delete, analyse again."""

from typing import Annotated, Literal, get_args

import msgspec
from fastapi import APIRouter, Query, Request

from agenttrace.errors import TraceNotFound
from agenttrace_server.analyse.pipeline import analyse
from agenttrace_server.api import failures
from agenttrace_server.api.asked import (
    MAX_OFFSET,
    FilterOf,
    StoreOf,
    ThresholdsOf,
    TraceId,
    Word,
    clean_id,
    found,
    problems,
)
from agenttrace_server.api.findings import FailureList
from agenttrace_server.api.models import Listing, TraceSummary
from agenttrace_server.api.times import milliseconds, rfc3339
from agenttrace_server.store import Claimed, SortKey, TraceQuery
from agenttrace_server.store import TraceSummary as Stored

router = APIRouter(tags=["traces"])

Sort = Literal[
    "start",
    "duration",
    "spans",
    "messages",
    "failures",
    "tokens",
    "cost",
    "-start",
    "-duration",
    "-spans",
    "-messages",
    "-failures",
    "-tokens",
    "-cost",
]


@router.get("/traces", operation_id="listTraces", responses=problems(404))
def list_traces(
    store: StoreOf,
    wanted: FilterOf,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[
        str | None,
        Query(max_length=100, description="The last trace of the page before; offset gets slower"),
    ] = None,
    q: Annotated[Word, Query(description="Text in names, inputs, outputs or messages")] = None,
    sort: Annotated[Sort, Query(description="A leading - sorts downwards")] = "-start",
) -> Listing[TraceSummary]:
    """List traces that fulfil every given condition, newest first unless `sort` says otherwise."""
    page = store.traces(
        TraceQuery(
            offset=offset,
            limit=limit,
            after=clean_id(after) if after else None,
            **msgspec.structs.asdict(wanted) | {"q": q or None},
            sort=_key(sort),
            descending=sort.startswith("-"),
        )
    )
    items = [show(summary) for summary in page.items]
    return Listing(items=items, total=page.total, offset=page.offset, limit=page.limit)


@router.get("/traces/{trace_id}", operation_id="getTrace", responses=problems(404))
def get_trace(store: StoreOf, trace_id: TraceId) -> TraceSummary:
    """Return what the list says about one trace."""
    return show(found(store, trace_id))


@router.delete(
    "/traces/{trace_id}", operation_id="deleteTrace", status_code=204, responses=problems(404)
)
def delete_trace(store: StoreOf, trace_id: TraceId) -> None:
    """Delete a trace with its spans, messages, checkpoints and failures. This cannot be undone."""
    if not store.delete(clean_id(trace_id)):
        raise TraceNotFound(f"There is no trace {trace_id!r}")


@router.post("/traces/{trace_id}/classify", operation_id="classifyTrace", responses=problems(404))
def classify_trace(
    request: Request,
    store: StoreOf,
    thresholds: ThresholdsOf,
    trace_id: TraceId,
    everything: Annotated[
        bool, Query(alias="all", description="Return those that are not sure too")
    ] = False,
) -> FailureList:
    """Analyse a trace again, now, with the plugins this server has; return the failures found.

    What people decided about failures stays.
    """
    summary = found(store, trace_id)
    trace = store.trace(summary.trace_id)
    if trace is None:
        raise TraceNotFound(f"There is no trace {trace_id!r}")
    analysis = analyse(trace, request.app.state.plugins)
    store.save(Claimed(summary.trace_id, summary.version), analysis)
    return failures.listing(store, thresholds, summary.trace_id, everything)


def show(summary: Stored) -> TraceSummary:
    """Return a trace's summary as it goes over HTTP."""
    values = msgspec.structs.asdict(summary)
    start_ns, end_ns = values.pop("start_ns"), values.pop("end_ns")
    return TraceSummary(
        **values,
        start_time=rfc3339(start_ns),
        end_time=rfc3339(end_ns),
        duration_ms=milliseconds(end_ns - start_ns),
    )


def _key(sort: Sort) -> SortKey:
    name = sort.removeprefix("-")
    return next(key for key in get_args(SortKey) if key == name)
