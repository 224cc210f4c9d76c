"""Call the HTTP API: of a running server, or of the application itself, straight on a database.

Every command that reads or changes traces speaks only HTTP, so that it means the same whether a
server runs or not.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

import typer

from agenttrace import endpoint, health
from agenttrace.errors import AgentTraceError, ServerError, TraceNotFound
from agenttrace_server.cli.configuration import read_settings, require_writable

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from starlette.types import ASGIApp, Message

    from agenttrace_server.settings import Settings

ServerURL = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Ask this server. (default: that of OTEL_EXPORTER_OTLP_ENDPOINT, the one on this "
        "machine, whichever answers, else the database)",
    ),
]

_JSON = "application/json"


class Reply:
    """One answer of the API."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON; raise `ServerError` if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise ServerError(
                f"the server answered {self.status} with something that is not JSON; "
                "is there a proxy in between?"
            ) from None


class Client:
    """Calls the API. `where` says for people whom it asks."""

    where: str

    def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str = _JSON
    ) -> Reply:
        """Send one request and return the answer, whatever its status."""
        raise NotImplementedError

    def ask(
        self, method: str, path: str, body: bytes | None = None, content_type: str = _JSON
    ) -> Reply:
        """Send one request and return the answer; raise `AgentTraceError` for an error."""
        reply = self.call(method, path, body, content_type)
        if reply.status >= 400:
            raise AgentTraceError(_why(reply))
        return reply

    def get(self, *segments: str, **query: Any) -> Any:
        """Return the JSON under `/api/…`; query parameters that are None are left out."""
        return self.ask("GET", api_path(*segments, **query)).json()

    def trace_id(self, given: str) -> str:
        """Return the trace id as it is stored; that of the newest trace for `last`."""
        if given != "last":
            return given.lower()
        newest = self.get("traces", limit=1)["items"]
        if not newest:
            raise TraceNotFound(f"there are no traces yet in {self.where}")
        return str(newest[0]["trace_id"])


class NetworkClient(Client):
    """Calls a running server."""

    def __init__(
        self, url: str, api_key: str | None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.where = url.rstrip("/")
        # Headers that are meant for this server know its key better.
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._headers |= {name.capitalize(): value for name, value in (headers or {}).items()}
        local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        # A proxy that the environment names knows nothing of this machine's own ports.
        proxies = urllib.request.ProxyHandler({}) if local else urllib.request.ProxyHandler()
        self._open = urllib.request.build_opener(proxies).open

    def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str = _JSON
    ) -> Reply:
        """Send one request over the network. Raises `ServerError` if nobody answers."""
        headers = {**self._headers, "Content-Type": content_type}
        request = urllib.request.Request(self.where + path, body, headers, method=method)
        try:
            with self._open(request, timeout=60) as response:
                return Reply(response.status, response.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.read())
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ServerError(
                f"no server answers at {self.where} ({reason}); start one: agenttrace serve"
            ) from None


class InProcessClient(Client):
    """Calls the application in this process, on the database of `settings`."""

    def __init__(self, settings: "Settings", portal: "BlockingPortal", app: "ASGIApp") -> None:
        self.where = settings.database_url.partition("@")[2] or settings.database_url
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._headers = [(b"host", b"localhost")]
        if key:
            self._headers.append((b"authorization", f"Bearer {key}".encode()))
        self._portal = portal
        self._app = app

    def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str = _JSON
    ) -> Reply:
        """Send one request to the application."""
        return self._portal.call(self._call, method, path, body or b"", content_type)

    async def _call(self, method: str, path: str, body: bytes, content_type: str) -> Reply:
        path, _, query = path.partition("?")
        requests = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Message] = []

        async def receive() -> "Message":
            return requests.pop() if requests else {"type": "http.disconnect"}

        async def send(event: "Message") -> None:
            sent.append(event)

        headers = [
            *self._headers,
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 0),
            "server": ("localhost", 80),
            "state": {},
        }
        await self._app(scope, receive, send)
        status = next(e["status"] for e in sent if e["type"] == "http.response.start")
        return Reply(status, b"".join(e.get("body", b"") for e in sent))


def api_path(*segments: str, **query: Any) -> str:
    """Return the path of an API call; query parameters that are None are left out."""
    path = "/api/" + "/".join(quote(segment, safe="") for segment in segments)
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def base_url(settings: "Settings") -> str:
    """Return the URL by which this machine reaches a server with these settings."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}{settings.root_path.rstrip('/')}"


@contextmanager
def connect(server: str | None, database_url: str | None) -> Iterator[Client]:
    """Give a client for the server asked for, one that answers, or the database.

    One that answers is where this environment sends its spans, else the one on this machine.
    Raises `AgentTraceError` if both are given.
    """
    if server and database_url:
        raise AgentTraceError("give --server or --database-url, not both")
    settings = read_settings(database_url=database_url)
    url = server
    headers: dict[str, str] = {}
    if server is None and database_url is None:
        url, headers = _answering(settings)
    if url is None:
        with in_process(settings) as client:
            yield client
        return
    key = settings.api_key.get_secret_value() if settings.api_key else None
    yield NetworkClient(url, key, headers)


def _answering(settings: "Settings") -> tuple[str | None, dict[str, str]]:
    """Return the URL of an AgentTrace that answers, and what is to be sent there as headers."""
    places: list[tuple[str, dict[str, str]]] = [(base_url(settings), {})]
    with suppress(ValueError):  # what is no URL is complained about by whatever sends there
        sent_to = endpoint.resolve()
        if sent_to.url != endpoint.DEFAULT_URL:
            places.insert(0, (sent_to.url, dict(sent_to.headers)))
    found = (place for place in places if health.ask(place[0]).kind == "agenttrace")
    return next(found, (None, {}))


@contextmanager
def in_process(settings: "Settings") -> Iterator[InProcessClient]:
    """Give a client on a database that needs no server."""
    from anyio.from_thread import start_blocking_portal

    from agenttrace_server.app import create_app

    require_writable(settings)
    # A command is over before a judge has answered: what that costs would be lost.
    app = create_app(settings.model_copy(update={"judge_url": ""}))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        yield InProcessClient(settings, portal, app)


def _why(reply: Reply) -> str:
    try:
        problem = json.loads(reply.body)
        return str(problem.get("detail") or problem.get("message") or problem["title"])
    except (ValueError, KeyError, AttributeError):
        return f"the server answered {reply.status}: {reply.body[:200].decode(errors='replace')}"
