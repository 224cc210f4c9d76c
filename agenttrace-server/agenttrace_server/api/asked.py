"""What API routes ask of a request: the store, a page of a list, the problems they may answer."""

from typing import Annotated, Any, cast

from fastapi import Depends, Path, Query, Request

from agenttrace.errors import TraceNotFound
from agenttrace_server.api.models import Problem
from agenttrace_server.api.times import TimeNs
from agenttrace_server.problems import MEDIA_TYPE
from agenttrace_server.shown import Thresholds
from agenttrace_server.store import Store, TraceFilter, TraceStatus, TraceSummary

MAX_OFFSET = 2**31 - 1

TraceId = Annotated[str, Path(description="32 hex digits", max_length=100)]
SpanId = Annotated[str, Path(description="16 hex digits", max_length=100)]
Word = Annotated[str | None, Query(max_length=500, pattern=r"^[^\x00]*$")]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="How many to leave out")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="How many at most")]


def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


StoreOf = Annotated[Store, Depends(_store)]


def _thresholds(request: Request) -> Thresholds:
    return cast(Thresholds, request.app.state.settings.thresholds)


ThresholdsOf = Annotated[Thresholds, Depends(_thresholds)]


def _filter(
    service: Word = None,
    framework: Word = None,
    agent: Word = None,
    status: TraceStatus | None = None,
    failure: Annotated[Word, Query(description="A mode, a category or a subcategory")] = None,
    since: Annotated[TimeNs | None, Query(description="Started at this time or later")] = None,
    until: Annotated[TimeNs | None, Query(description="Started before this time")] = None,
    joined: Annotated[
        bool, Query(description="Show fragments of one run as one; false: as they were recorded")
    ] = True,
) -> TraceFilter:
    return TraceFilter(
        service=service or None,
        framework=framework or None,
        agent=agent or None,
        status=status,
        failure=failure or None,
        since_ns=since,
        until_ns=until,
        joined=joined,
    )


FilterOf = Annotated[TraceFilter, Depends(_filter)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for these statuses, and for those every API route may answer."""
    meanings = {
        401: "The API key is missing or wrong",
        403: "Another origin's page, or a host name that is not this server's",
        404: "There is no such thing",
        409: "It cannot be done now, or not to this one; `detail` says why and what to do",
        422: "A parameter is not valid; `errors` says which and why",
        503: "The database is away; try again after `Retry-After` seconds",
    }
    return {
        status: {
            "description": meanings[status],
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
            },
        }
        for status in sorted({401, 403, 422, 503, *statuses})
    }


def found(store: Store, trace_id: str) -> TraceSummary:
    """Return the trace's summary. Raises `TraceNotFound`."""
    summary = store.summary(clean_id(trace_id))
    if summary is None:
        raise TraceNotFound(f"There is no trace {trace_id!r}")
    return summary


def clean_id(given: str) -> str:
    """Return an id as it is stored: lower case, and never with a NUL, which PostgreSQL refuses."""
    return given.lower().replace("\0", "")
