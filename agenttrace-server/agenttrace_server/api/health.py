"""How the server is, for people, probes and Prometheus."""

import time
from typing import Literal

from fastapi import APIRouter, Request, Response

from agenttrace.errors import StoreUnavailable
from agenttrace_server.access import is_authorised
from agenttrace_server.api.models import Health
from agenttrace_server.metrics import CONTENT_TYPE, Metrics
from agenttrace_server.store import Store, TraceQuery

router = APIRouter(tags=["server"])


@router.get("/health", operation_id="getHealth", responses={503: {"model": Health}})
def get_health(request: Request, response: Response) -> Health:
    """Say how the server is; 503 when its database is away."""
    state = request.app.state
    analysis = state.analysis
    store: Store = state.store
    traces, pool = None, None
    try:
        pool = store.ping()
        if is_authorised(request):
            traces = store.traces(TraceQuery(limit=1)).total
    except StoreUnavailable:
        response.status_code = 503
    up = response.status_code != 503
    analyses: Literal["up", "down", "off"] = "off"
    if analysis is not None:
        analyses = "up" if analysis.alive else "down"
    return Health(
        status="unavailable" if not up else "degraded" if analyses == "down" else "ok",
        service="agenttrace",
        version=request.app.version,
        store="up" if up else "down",
        analysis=analyses,
        traces=traces,
        keep_days=state.settings.keep_days,
        connections=pool and pool.in_use,
        connections_most=pool and pool.most,
        uptime_seconds=round(time.monotonic() - state.started, 3),
    )


@router.get("/metrics", operation_id="getMetrics", response_class=Response)
def get_metrics(request: Request) -> Response:
    """Return the server's counters in Prometheus's text format; nothing of any trace is in it."""
    metrics: Metrics = request.app.state.metrics
    analysis = request.app.state.analysis
    metrics.analysis_up.set(analysis is not None and analysis.alive)
    return Response(metrics.text(), media_type=CONTENT_TYPE)
