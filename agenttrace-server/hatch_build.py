"""Put the built UI, the migrations and the demo into the wheel and the sdist.

In a checkout they lie outside this package's folder; in an sdist they are already inside it, so a
wheel is made from one without Node and without the checkout. `AGENTTRACE_BUILD_UI=0` leaves the UI
out (API only). Editable installs take everything from the checkout and need nothing built.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "agenttrace_server"
FROM_CHECKOUT = {"migrations": "migrations", "examples": "demo"}


class CustomBuildHook(BuildHookInterface[BuilderConfig]):
    """hatchling calls `initialize` once per wheel or sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add what is to be packaged to `build_data`; build the UI first where that is possible."""
        if version == "editable":
            return
        root = Path(self.root)
        for source, target in FROM_CHECKOUT.items():
            if not (root / PACKAGE / target).exists():
                build_data["force_include"][str(root.parent / source)] = f"{PACKAGE}/{target}"
        if os.environ.get("AGENTTRACE_BUILD_UI") == "0":
            return
        self._build_ui(_load(root / PACKAGE / "ui_build.py"), root)
        build_data["artifacts"].append(f"/{PACKAGE}/static/**")

    def _build_ui(self, ui_build: ModuleType, root: Path) -> None:
        """Build the UI where its sources and Node.js are at hand; else require a built one."""
        ui = ui_build.source_folder()
        no_node = ui_build.missing_node() if ui else None
        if ui and not no_node:
            ui_build.build(ui, say=self.app.display_info, output=sys.stderr)
        elif not ui_build.is_built():
            why = no_node or f"there is no ui/ folder beside {root} to build it from"
            raise RuntimeError(
                f"The UI is not built and cannot be: {why}. "
                "Set AGENTTRACE_BUILD_UI=0 for a package with the API only"
            )
        elif no_node:
            self.app.display_warning(f"Packaging the UI as it was last built: {no_node}")


def _load(path: Path) -> ModuleType:
    """Import one file by its path: the package itself is not installed while it is built."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
