"""Serve the built UI: its files, and its one page for every address it knows.

The files are kept in memory, compressed once: a page asks for several at a time, while the browser
that shows it wants the processor too.
"""

import gzip
import html
import mimetypes
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

STATIC = Path(__file__).parent / "static"

_BASE = re.compile(r"<base\b[^>]*>", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_CSP = (
    "default-src 'self'; base-uri 'self'; object-src 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
_PAGE_HEADERS = {"Cache-Control": "no-cache", "Content-Security-Policy": _CSP}
_ASSET_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}
_FILE_HEADERS = {"Cache-Control": "no-cache", "Content-Security-Policy": _CSP}

NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>AgentTrace</title></head>
<body>
<h1>AgentTrace is running, but its pages are not built</h1>
<p>Traces are received and analysed all the same; the <a href="api/traces">API</a> works.</p>
<p>To build the pages, run this in the checkout (it needs Node 20 or newer), then reload:</p>
<pre>uv run nox -s ui</pre>
<p>The released package brings them along: <code>pip install agenttrace-server</code>.</p>
</body>
</html>
"""


class Pages:
    """An ASGI app for every path that no route has; raises a 404 where the UI has none either."""

    def __init__(self, static: Path = STATIC) -> None:
        self._static = static.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; refuse what is the API's or OTLP's."""
        if scope["type"] != "http":
            raise HTTPException(404)
        await self._respond(Request(scope))(scope, receive, send)

    def _respond(self, request: Request) -> Response:
        root = str(request.scope.get("root_path", ""))
        path = request.url.path.removeprefix(root).lstrip("/").removeprefix("index.html")
        first, _, rest = path.partition("/")
        if request.method not in ("GET", "HEAD") or first in ("api", "v1"):
            raise HTTPException(404)
        file = self._file(path)
        if file is not None:
            hashed = first == "assets" and bool(rest)
            zipped = "gzip" in request.headers.get("accept-encoding", "")
            return _answer(file, zipped, _ASSET_HEADERS if hashed else _FILE_HEADERS)
        if "." in path.rpartition("/")[2] or first == "assets":
            raise HTTPException(404)
        return self._page(root)

    def _file(self, path: str) -> Path | None:
        if not path or "\0" in path:
            return None
        file = (self._static / path).resolve()
        try:
            return file if file.is_relative_to(self._static) and file.is_file() else None
        except OSError:  # a name longer than any file may have
            return None

    def _page(self, root: str) -> Response:
        """Return index.html, told where it is served so that deep links find their assets."""
        index = self._static / "index.html"
        text = index.read_text("utf-8") if index.is_file() else NOT_BUILT
        base = f'<base href="{html.escape(root)}/">'
        text = _HEAD.sub(lambda head: head[0] + base, _BASE.sub("", text), count=1)
        return HTMLResponse(text, headers=_PAGE_HEADERS)


class _Content(NamedTuple):
    """What a file has in it; `zipped` is empty where compressing saves nothing."""

    media_type: str
    plain: bytes
    zipped: bytes


def _answer(file: Path, zipped: bool, headers: dict[str, str]) -> Response:
    content = _content(file, file.stat().st_mtime_ns)
    headers = headers | {"Vary": "Accept-Encoding"}
    if zipped and content.zipped:
        headers["Content-Encoding"] = "gzip"
        return Response(content.zipped, headers=headers, media_type=content.media_type)
    return Response(content.plain, headers=headers, media_type=content.media_type)


@lru_cache(maxsize=256)
def _content(file: Path, _changed_ns: int) -> _Content:
    plain = file.read_bytes()
    zipped = gzip.compress(plain, 9, mtime=0)
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return _Content(media_type, plain, zipped if len(zipped) < 0.9 * len(plain) else b"")
