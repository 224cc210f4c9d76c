"""Put the server together: one FastAPI app that receives, answers and shows."""

import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import Any, Protocol

import anyio.to_thread
import uvicorn
from fastapi import Depends, FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware

from agenttrace.errors import AgentTraceError, ServerError
from agenttrace.plugins import Plugins
from agenttrace_server import api, logs, problems
from agenttrace_server.access import authorised
from agenttrace_server.analyse import classifiers
from agenttrace_server.analyse.supervisor import Supervisor
from agenttrace_server.api import health
from agenttrace_server.api.models import Problem
from agenttrace_server.attempts import Attempts
from agenttrace_server.guard import Guard
from agenttrace_server.ingest import Ingest
from agenttrace_server.judge import Judge, terms
from agenttrace_server.listening import identify, listen, may_listen_for_grpc, refuse_unsafe, url_of
from agenttrace_server.live import Live
from agenttrace_server.metrics import Metrics
from agenttrace_server.pages import Pages
from agenttrace_server.reading import prepare
from agenttrace_server.reading.process import Readers
from agenttrace_server.receive import over_http
from agenttrace_server.receive.export import Exports
from agenttrace_server.replay.bell import Bell
from agenttrace_server.settings import Settings
from agenttrace_server.store import Store
from agenttrace_server.store.sql import open_store
from agenttrace_server.yaml_rules import RuleFile

__all__ = ["Analysis", "create_app", "identify", "serve"]

GRACEFUL_SECONDS = 15

_DESCRIPTION = """Who the agents of a run are, what they said to each other, and what broke.

Times are RFC 3339 in UTC, durations milliseconds, costs US dollars. Lists answer
`{"items", "total", "offset", "limit"}`, errors are RFC 9457 problems. Where the server has an API
key, send it as `Authorization: Bearer KEY` or `x-api-key: KEY`.

`WS /api/live?trace=&after=` sends `{"type": "hello", "cursor"}`, then for each trace that changed
`{"type": "trace", "cursor", "trace_id", "version", "analysed"}`, for each replay that did
`{"type": "replay", "cursor", "replay_id", "status", "source_trace_id", "trace_id",
"experiment_id", "counts", "error"}`, and `{"type": "ping"}` now and then; reconnect with the last
cursor as `after`.
"""


class Analysis(Protocol):
    """What analyses quiet traces beside the server; `Supervisor` is the real one."""

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
    settings: Settings,
    *,
    store: Store | None = None,
    analysis: Analysis | None = None,
    with_grpc: bool = False,
) -> FastAPI:
    """Return the app: OTLP in, API, live feed, UI.

    Opens the store of the settings at start-up, unless one is given, and closes it at shutdown.
    Analyses nothing by itself: `serve` adds the process that does. `with_grpc` listens on the
    settings' gRPC port too.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(app, settings, store, analysis), _grpc(app, settings, with_grpc):
            yield

    app = FastAPI(
        title="AgentTrace",
        version=version("agenttrace-server"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        # The usual pages load their scripts from elsewhere, which our content policy forbids.
        docs_url=None,
        redoc_url=None,
        # Few exporters follow a redirect, and behind a proxy it may lead to a wrong address.
        redirect_slashes=False,
        servers=[{"url": settings.root_path or "/"}],
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.analysis = analysis
    app.state.attempts = Attempts()
    app.state.bell = Bell()
    app.state.started = time.monotonic()
    app.include_router(
        over_http.router, dependencies=[Depends(authorised), Depends(_wake_analysis)]
    )
    app.include_router(api.router)
    app.include_router(health.router)
    app.router.default = Pages()
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=1)
    app.add_middleware(Guard, settings=settings)
    problems.install(app)
    _describe_problems(app)
    return app


def _wake_analysis(request: Request) -> Iterator[None]:
    """Tell the analysis that an export is in, once it is."""
    yield
    _wake(request.app)


def _wake(app: FastAPI) -> None:
    if app.state.analysis is not None:
        app.state.analysis.wake()


@asynccontextmanager
async def _running(
    app: FastAPI, settings: Settings, store: Store | None, analysis: Analysis | None
) -> AsyncIterator[None]:
    """Open what the app needs, and let go of it in the opposite order, exports first."""
    rules = RuleFile(settings.rule_file, required=settings.rules is not None)
    opened: Store
    if store is not None:
        opened = store
    else:
        opened = await anyio.to_thread.run_sync(_store_of, settings)
    judge = Judge(asked, opened) if (asked := terms(settings)) else None
    plugins: Plugins = await anyio.to_thread.run_sync(classifiers.load, rules, judge)
    await anyio.to_thread.run_sync(opened.show_from, settings.thresholds)
    await anyio.to_thread.run_sync(prepare)
    opened.replays.lease_seconds = settings.replay_lease_seconds
    readers = Readers(plugins, opened.project_id)
    ingest = Ingest(opened, plugins)
    live = Live(opened, app.state.metrics)
    app.state.store, app.state.plugins, app.state.rules = opened, plugins, rules
    app.state.live = live
    app.state.exports = Exports(readers, ingest, opened, app.state.metrics, settings.max_body_bytes)
    if analysis is not None:
        analysis.start()
    try:
        yield
    finally:
        await live.close()
        await anyio.to_thread.run_sync(ingest.close)
        readers.close()
        if judge is not None:
            judge.stop()
        if analysis is not None:
            await anyio.to_thread.run_sync(analysis.stop)
        await anyio.to_thread.run_sync(opened.close)


@asynccontextmanager
async def _grpc(app: FastAPI, settings: Settings, wanted: bool) -> AsyncIterator[None]:
    """Take exports over gRPC too, if that is wanted."""
    if not wanted or not settings.grpc_port:
        yield
        return
    # Not above: it takes longer to load than everything else together.
    from agenttrace_server.receive.over_grpc import serving

    async with serving(app.state.exports, settings, lambda: _wake(app)):
        yield


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


def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return.

    `ready` is told the URL once requests are answered. Raises `ServerError`, in one line that says
    what to do, where the address or the database cannot be had.
    """
    refuse_unsafe(settings)
    sock = listen(settings.host, settings.port)
    try:
        store = _open_store(settings)
        logs.set_up()
        with_grpc = may_listen_for_grpc(settings)
        app = create_app(settings, store=store, analysis=Supervisor(settings), with_grpc=with_grpc)
        config = uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            # Live clients have nothing to tell us.
            ws_max_size=64 * 1024,
        )
        server = _Server(config, lambda: ready(url_of(settings, sock)) if ready else None)
        with _stopped_by_signals(server, app.state.bell.close):
            server.run(sockets=[sock])
    finally:
        sock.close()


def _store_of(settings: Settings) -> Store:
    return open_store(settings.database_url, read_url=settings.read_database_url or None)


def _open_store(settings: Settings) -> Store:
    try:
        return _store_of(settings)
    except AgentTraceError as error:
        raise ServerError(str(error)) from error


class _Server(uvicorn.Server):
    """Uvicorn, which says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self._ready()


@contextmanager
def _stopped_by_signals(server: uvicorn.Server, stopping: Callable[[], None]) -> Iterator[None]:
    """Stop the server on SIGINT and SIGTERM, and survive them.

    Uvicorn stops on them too, but then raises them again, and the caller would die of its own
    orderly shutdown.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        server.should_exit = True
        stopping()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
