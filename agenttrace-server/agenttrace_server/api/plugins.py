"""The plugins this server has."""

import msgspec
from fastapi import APIRouter, Request

from agenttrace.plugins import PluginInfo
from agenttrace_server.api.asked import problems
from agenttrace_server.api.models import Listing, Plugin

router = APIRouter(tags=["server"])


@router.get("/plugins", operation_id="listPlugins", responses=problems())
def list_plugins(request: Request) -> Listing[Plugin]:
    """List every plugin found, broken ones with what is wrong; of the rules as they are now."""
    rules = request.app.state.rules
    rules.agenttrace_classifiers()
    infos = request.app.state.plugins.infos
    items = [
        Plugin(**msgspec.structs.asdict(info) | ({"error": rules.error} if _is_rules(info) else {}))
        for info in infos
    ]
    return Listing(items=items, total=len(items), offset=0, limit=len(items))


def _is_rules(info: PluginInfo) -> bool:
    return info.name == "rules" and info.package == "agenttrace-server"
