"""The REST API and the live feed: one module per noun."""

from fastapi import APIRouter, Depends

from agenttrace_server.access import authorised
from agenttrace_server.api import (
    accounting,
    agents,
    agreement,
    checkpoints,
    compare,
    decisive,
    experiments,
    export,
    failures,
    graph,
    joins,
    live,
    login,
    messages,
    plugins,
    rejected,
    replays,
    spans,
    stats,
    traces,
    workers,
)

__all__ = ["router"]

router = APIRouter(prefix="/api")
router.include_router(login.router)
router.include_router(live.router)
for _module in (
    traces,
    joins,
    accounting,
    spans,
    agents,
    messages,
    graph,
    failures,
    decisive,
    agreement,
    checkpoints,
    export,
    stats,
    plugins,
    rejected,
    replays,
    experiments,
    compare,
    workers,
):
    router.include_router(_module.router, dependencies=[Depends(authorised)])
