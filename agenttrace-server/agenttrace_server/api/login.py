"""Give a browser a session for the API key, in a cookie that no script can read."""

import math

from fastapi import APIRouter, HTTPException, Request, Response

from agenttrace_server.access import (
    COOKIE,
    SESSION_SECONDS,
    is_authorised,
    key_is,
    new_session,
)
from agenttrace_server.api.asked import problems
from agenttrace_server.api.models import Login, Session
from agenttrace_server.attempts import Attempts
from agenttrace_server.settings import Settings

router = APIRouter(tags=["session"])


@router.get("/session", operation_id="getSession")
def get_session(request: Request) -> Session:
    """Say whether an API key is asked for, and whether this caller has given it."""
    settings: Settings = request.app.state.settings
    return Session(required=settings.api_key is not None, authenticated=is_authorised(request))


@router.post("/login", operation_id="login", responses=problems())
def login(request: Request, response: Response, given: Login) -> Session:
    """Set the session cookie if the API key is right; it lasts 30 days or until the key changes."""
    settings: Settings = request.app.state.settings
    if settings.api_key is None:
        return Session(required=False, authenticated=True)
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    if wait := math.ceil(attempts.wait(address)):
        raise HTTPException(
            429,
            f"Too many wrong keys from {address}; try again in {wait} s",
            headers={"Retry-After": str(wait)},
        )
    if not key_is(settings, given.api_key):
        attempts.failed(address)
        raise HTTPException(401, "This is not the server's API key")
    response.set_cookie(
        COOKIE,
        new_session(settings),
        max_age=SESSION_SECONDS,
        path=_path(request),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return Session(required=True, authenticated=True)


@router.post("/logout", operation_id="logout", responses=problems())
def logout(request: Request, response: Response) -> Session:
    """Take the session cookie away."""
    settings: Settings = request.app.state.settings
    response.delete_cookie(COOKIE, path=_path(request), httponly=True, samesite="strict")
    required = settings.api_key is not None
    return Session(required=required, authenticated=not required)


def _path(request: Request) -> str:
    return f"{request.scope.get('root_path', '')}/"
