"""Ask a model behind an OpenAI-compatible URL, again where that may help."""

import json
import logging
import random
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

from agenttrace.errors import JudgeError
from agenttrace_server.judge.terms import Terms

log = logging.getLogger("agenttrace.judge")

ATTEMPTS = 4
LONGEST_PAUSE = 60.0
MOST_BYTES = 8 * 1024 * 1024
CHARACTERS_A_TOKEN = 4
"""What a token is in English, roughly; counts for estimates, and where no usage is reported."""
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_NOT_UNDERSTOOD = frozenset({400, 422})


class Answer(msgspec.Struct, frozen=True):
    """What a model said, and the tokens that took."""

    text: str
    tokens_in: int
    tokens_out: int


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key and the run to a place nobody named."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        """Follow none."""


class Endpoint:
    """The model of these terms. Safe to use from any thread."""

    def __init__(self, terms: Terms, schema: dict[str, Any], stopped: threading.Event) -> None:
        self._terms = terms
        self._url = f"{terms.url.rstrip('/')}/chat/completions"
        self._stopped = stopped
        local = urlsplit(terms.url).hostname in ("127.0.0.1", "localhost", "::1")
        # A proxy that the environment names knows nothing of this machine's own ports.
        proxies = urllib.request.ProxyHandler({}) if local else urllib.request.ProxyHandler()
        self._open = urllib.request.build_opener(proxies, _NoRedirects).open
        strict = {"name": "failures", "strict": True, "schema": schema}
        # Not every server knows a schema, nor every model a temperature: what it takes is learnt.
        self._forms: list[dict[str, Any]] = [
            {"temperature": 0, "response_format": {"type": "json_schema", "json_schema": strict}},
            {"response_format": {"type": "json_schema", "json_schema": strict}},
            {"response_format": {"type": "json_object"}},
            {},
        ]

    def ask(self, instructions: str, question: str) -> Answer:
        """Return the model's answer. Raises `JudgeError` where there is none."""
        messages = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": question},
        ]
        forms = list(self._forms)
        while True:
            body = {"model": self._terms.model, "messages": messages, **forms[0]}
            status, content = self._post(json.dumps(body).encode())
            if status == 200:
                self._forms = forms
                return _read(content, len(instructions) + len(question))
            if status not in _NOT_UNDERSTOOD or len(forms) == 1:
                raise JudgeError(
                    f"{self._url} answered {status} for {self._terms.model}; check "
                    f"AGENTTRACE_JUDGE_*: {content[:300].decode('utf-8', 'replace')}"
                )
            forms = forms[1:]

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """Return status and content, of the last attempt where several were made."""
        for attempt in range(1, ATTEMPTS + 1):
            wait = 2.0**attempt * random.uniform(0.5, 1)
            try:
                with self._open(self._request(body), timeout=self._terms.timeout_seconds) as reply:
                    return reply.status, reply.read(MOST_BYTES)
            except urllib.error.HTTPError as error:
                status, content = error.code, error.read(MOST_BYTES)
                if status not in _AGAIN or attempt == ATTEMPTS:
                    return status, content
                wait = _told(error.headers.get("retry-after"), wait)
                reason = f"answered {status}"
            except (OSError, HTTPException) as error:
                reason = f"did not answer: {getattr(error, 'reason', error)!s}"
                if attempt == ATTEMPTS:
                    raise JudgeError(f"{self._url} {reason}; check AGENTTRACE_JUDGE_URL") from error
            log.info("%s %s; asking again in %.1f s", self._url, reason, wait)
            if self._stopped.wait(wait):
                break
        raise JudgeError("The server stops: nothing more is judged")

    def _request(self, body: bytes) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        if self._terms.api_key:
            headers["Authorization"] = f"Bearer {self._terms.api_key}"
        return urllib.request.Request(self._url, body, headers, method="POST")


class _Told(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Told


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


def _read(content: bytes, asked: int) -> Answer:
    """Read a chat completion (https://platform.openai.com/docs/api-reference/chat/object)."""
    try:
        completion = msgspec.json.decode(content, type=_Completion)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JudgeError(
            f"The answer is no chat completion ({error}): {content[:200]!r}"
        ) from error
    told = completion.choices[0].message if completion.choices else _Told()
    text = told.content or told.refusal or ""
    usage = completion.usage or _Usage()
    sent, made = usage.prompt_tokens, usage.completion_tokens
    return Answer(
        text,
        asked // CHARACTERS_A_TOKEN if sent is None else sent,
        len(text) // CHARACTERS_A_TOKEN if made is None else made,
    )


def _told(retry_after: str | None, otherwise: float) -> float:
    try:
        return min(max(float(retry_after or ""), 0.0), LONGEST_PAUSE)
    except ValueError:
        return otherwise
