"""A server on loopback that talks like OpenAI's chat completions, and answers what it is told."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Mapping[str, str], bytes]
Asked = dict[str, Any]
"""The body of a request."""


def completion(text: str, sent: int = 1_000, made: int = 100) -> Reply:
    """A chat completion that says this."""
    body = {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": sent, "completion_tokens": made},
    }
    return 200, {}, json.dumps(body).encode()


def failures(*found: Mapping[str, Any], sent: int = 1_000, made: int = 100) -> Reply:
    """A completion that names these failures."""
    return completion(named(*found), sent, made)


def named(*found: Mapping[str, Any]) -> str:
    """The text that names these failures."""
    usual = {"step": 0, "explanation": "It is so.", "severity": "medium", "sure": "certain"}
    return json.dumps({"failures": [{**usual, **one} for one in found]})


def refusal(status: int, **headers: str) -> Reply:
    """An answer with this status."""
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, renamed, b'{"error": {"message": "no"}}'


class Chat:
    """Gives `answers` one after the other, then says each time that nothing failed."""

    def __init__(self) -> None:
        self.answers: list[Reply | Callable[[Asked], Reply]] = []
        self.asked: list[Asked] = []
        self.headers: list[Mapping[str, str]] = []
        self._lock = threading.Lock()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                chat.take(self)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self._lock:
            self.asked.append(body)
            self.headers.append({k.lower(): v for k, v in handler.headers.items()})
            answer = self.answers.pop(0) if self.answers else failures()
        if handler.path != "/v1/chat/completions":
            answer = refusal(404)
        status, headers, content = answer(body) if callable(answer) else answer
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def chat_server() -> Iterator[Chat]:
    """Run one on a free port."""
    chat = Chat()
    try:
        yield chat
    finally:
        chat.close()
