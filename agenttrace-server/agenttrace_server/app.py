"""Put the server together: one FastAPI app that receives, answers and shows."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Protocol

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.middleware.gzip import GZipMiddleware

from agenttrace.errors import StoreUnavailable
from agenttrace.plugins import Plugins, load_plugins
from agenttrace_server import api, problems
from agenttrace_server.access import authorised, is_authorised
from agenttrace_server.api.models import Health, Problem
from agenttrace_server.guard import Guard
from agenttrace_server.live import Live
from agenttrace_server.metrics import CONTENT_TYPE, Metrics
from agenttrace_server.pages import Pages
from agenttrace_server.settings import Settings
from agenttrace_server.store import Store, TraceQuery

VERSION = version("agenttrace-server")

_DESCRIPTION = """Who the agents of a run are, what they said to each other, and what broke.

Times are RFC 3339 in UTC, durations milliseconds, costs US dollars. Lists answer
`{"items", "total", "offset", "limit"}`, errors are RFC 9457 problems. Where the server has an API
key, send it as `Authorization: Bearer KEY` or `x-api-key: KEY`.

`WS /api/live?trace=&after=` sends `{"type": "hello", "cursor"}`, then
`{"type": "trace", "cursor", "trace_id", "version", "analysed"}` for each change, and
`{"type": "ping"}` now and then; reconnect with the last cursor as `after`.
"""


class Analysis(Protocol):
    """What analyses quiet traces beside the server; `analyse.supervisor` has the real one."""

    def start(self) -> None:
        """Begin."""

    def wake(self) -> None:
        """Say that there is something new, so that it need not be waited for."""

    def stop(self) -> None:
        """End, once what is being analysed is saved."""

    @property
    def alive(self) -> bool:
        """Whether it works."""


def create_app(
    settings: Settings, *, store: Store | None = None, analysis: Analysis | None = None
) -> FastAPI:
    """Return the app: OTLP in, API, live feed, UI.

    Opens the store of the settings at start-up, unless one is given, and closes it at shutdown.
    Analyses nothing by itself: `serve` adds the process that does.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(app, settings, store, analysis):
            yield

    app = FastAPI(
        title="AgentTrace",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        root_path=settings.root_path.rstrip("/"),
        openapi_url="/api/openapi.json",
        # The usual pages load their scripts from elsewhere, which our content policy forbids.
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path.rstrip("/") or "/"}],
        root_path_in_servers=False,
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.analysis = analysis
    app.state.started = time.monotonic()
    if find_spec("agenttrace_server.receive"):
        app.include_router(_receiver(), dependencies=[Depends(authorised)])
    app.include_router(api.router)
    app.include_router(router)
    app.router.default = Pages()
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Guard, settings=settings)
    problems.install(app)
    _describe_problems(app)
    return app


def _receiver() -> APIRouter:
    from agenttrace_server.receive import router

    return router


@asynccontextmanager
async def _running(
    app: FastAPI, settings: Settings, store: Store | None, analysis: Analysis | None
) -> AsyncIterator[None]:
    """Open what the app needs, and let go of it in the opposite order, exports first."""
    from agenttrace_server.ingest import Ingest
    from agenttrace_server.store.sql import open_store

    plugins: Plugins = await anyio.to_thread.run_sync(load_plugins)
    opened = store or await anyio.to_thread.run_sync(open_store, settings.database_url)
    ingest = Ingest(opened, plugins)
    live = Live(opened, app.state.metrics)
    app.state.store, app.state.plugins = opened, plugins
    app.state.ingest, app.state.live = ingest, live
    if analysis is not None:
        analysis.start()
    try:
        yield
    finally:
        await live.close()
        await anyio.to_thread.run_sync(ingest.close)
        if analysis is not None:
            await anyio.to_thread.run_sync(analysis.stop)
        await anyio.to_thread.run_sync(opened.close)


router = APIRouter(tags=["server"])


@router.get("/health", operation_id="getHealth", responses={503: {"model": Health}})
def get_health(request: Request, response: Response) -> Health:
    """Say how the server is; 503 when its database is away."""
    state = request.app.state
    analysis: Analysis | None = state.analysis
    store: Store = state.store
    traces = None
    try:
        store.ping()
        if is_authorised(request):
            traces = store.traces(TraceQuery(limit=1)).total
    except StoreUnavailable:
        response.status_code = 503
    up = response.status_code != 503
    analyses = "off" if analysis is None else "up" if analysis.alive else "down"
    return Health(
        status="unavailable" if not up else "degraded" if analyses == "down" else "ok",
        service="agenttrace",
        version=VERSION,
        store="up" if up else "down",
        analysis=analyses,
        traces=traces,
        uptime_seconds=round(time.monotonic() - state.started, 3),
    )


@router.get("/metrics", operation_id="getMetrics", response_class=Response)
def get_metrics(request: Request) -> Response:
    """Return the server's counters in Prometheus's text format: numbers only, nothing of a trace."""
    metrics: Metrics = request.app.state.metrics
    analysis: Analysis | None = request.app.state.analysis
    metrics.analysis_up.set(analysis is not None and analysis.alive)
    return Response(metrics.text(), media_type=CONTENT_TYPE)


def _describe_problems(app: FastAPI) -> None:
    """Put our error model into the OpenAPI document, in place of FastAPI's own."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document["components"]["schemas"]
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        definition = Problem.model_json_schema(
            mode="serialization", ref_template="#/components/schemas/{model}"
        )
        schemas.update(definition.pop("$defs"))
        schemas["Problem"] = definition
        return document

    app.openapi = openapi  # type: ignore[method-assign]
