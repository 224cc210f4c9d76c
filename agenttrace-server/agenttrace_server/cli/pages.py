"""See to it that a checkout has a built UI; an installed package brings its own."""

import os
import sys

from agenttrace.errors import AgentTraceError
from agenttrace_server import ui_build
from agenttrace_server.cli.terminal import say, warn


def ensure_ui(wanted: bool, *, required: bool) -> None:
    """Build the UI where it is missing or older than its sources, showing progress.

    Not in an installed package, nor if not `wanted`, nor with AGENTTRACE_BUILD_UI=0. Where it
    cannot be built, an older one serves; without any, raise `AgentTraceError` if it is `required`.
    """
    ui = ui_build.source_folder()
    if not wanted or ui is None or os.environ.get("AGENTTRACE_BUILD_UI") == "0":
        return
    if ui_build.is_current(ui):
        return
    try:
        ui_build.build(ui, say=say, output=sys.stderr)
    except ui_build.UIBuildError as error:
        if ui_build.is_built():
            warn(f"the UI is older than its sources and cannot be built: {error}")
        elif required:
            raise AgentTraceError(
                f"the UI cannot be built: {error}; or go without it: --no-ui"
            ) from None
        else:
            warn(f"going on without the UI: {error}")
