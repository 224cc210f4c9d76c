"""Say what went wrong: RFC 9457 for the API, google.rpc.Status for OTLP."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from agenttrace.errors import (
    AgentTraceError,
    CheckpointNotFound,
    FailureNotFound,
    InvalidPayload,
    MessageNotFound,
    NotByHand,
    NotResumable,
    NoWorker,
    ReplayError,
    ReplayLost,
    ReplayNotFound,
    SpanNotFound,
    StoreUnavailable,
    TraceNotFound,
)

log = logging.getLogger("agenttrace.server")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_STATUS_OF: dict[type[AgentTraceError], int] = {
    TraceNotFound: 404,
    SpanNotFound: 404,
    MessageNotFound: 404,
    FailureNotFound: 404,
    CheckpointNotFound: 404,
    NotByHand: 409,
    ReplayNotFound: 404,
    NotResumable: 409,
    NoWorker: 409,
    ReplayLost: 409,
    ReplayError: 409,
    InvalidPayload: 400,
    StoreUnavailable: 503,
}


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """Return an RFC 9457 problem; `errors` says which parts of the request are not valid."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": errors or [],
    }
    return Response(json.dumps(body), status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of the app in the form its path asks for."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(AgentTraceError, _ours)
    app.add_exception_handler(Exception, _unexpected)


def refuse(
    path: str,
    content_type: str,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """Return the error in the form that `path` asks for; `content_type` is the request's."""
    if path.startswith("/v1/"):
        return otlp_status(content_type, status, detail, headers)
    return problem(status, detail, headers, errors)


def otlp_status(
    content_type: str, status: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a `google.rpc.Status` in the request's own content type, as OTLP/HTTP asks."""
    code = _RPC_CODES.get(status, 2)
    if content_type.split(";")[0].strip().lower() == "application/x-protobuf":
        text = message.encode()
        # Field 1, varint; field 2, bytes: too small a message to load generated classes for.
        body = bytes([0x08, code, 0x12]) + _varint(len(text)) + text
        return Response(body, status, headers=headers, media_type="application/x-protobuf")
    body = json.dumps({"code": code, "message": message}).encode()
    return Response(body, status, headers=headers, media_type="application/json")


# google/rpc/code.proto
_RPC_CODES = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    409: 6,
    413: 8,
    415: 3,
    422: 3,
    429: 8,
    500: 13,
    501: 12,
    503: 14,
    504: 4,
}


_NOT_READABLE = "There was an error parsing the body"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _answer(
    request: Request,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    content_type = request.headers.get("content-type", "")
    return refuse(path, content_type, status, detail, headers, errors)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"at": ".".join(str(part) for part in one["loc"]), "message": str(one["msg"])}
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['at']}: {one['message']}" for one in errors)
    return _answer(request, 422, detail, errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"There is nothing at {request.url.path}"
    if error.status_code == 405:
        detail = f"{request.method} is not allowed at {request.url.path}"
    status = error.status_code
    if detail == _NOT_READABLE:
        # FastAPI's own answer to bytes that are not UTF-8; to other bad JSON it says 422, as we do.
        status, detail = 422, "body: This is no JSON in UTF-8"
    return _answer(request, status, detail, error.headers)


async def _ours(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS_OF.items() if isinstance(error, kind)), 500)
    if status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None
    return _answer(request, status, str(error), headers)


async def _unexpected(request: Request, _error: Exception) -> Response:
    # The web server logs the traceback: Starlette raises the error again after this answer.
    return _answer(request, 500, "The server failed; its log says how")
