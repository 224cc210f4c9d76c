"""Find the installed plugins and ask them questions, so that a broken one costs only itself."""

import logging
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from typing import Any

import msgspec
import pluggy

from agenttrace import custom, genai, hookspecs, smolagents

log = logging.getLogger("agenttrace.plugins")

ENTRY_POINT_GROUP = "agenttrace"
_CORE = "agenttrace-core"


class PluginInfo(msgspec.Struct, frozen=True):
    """One plugin: where it came from, the hooks it answers, and why it does not work if so."""

    name: str
    package: str
    version: str
    hooks: tuple[str, ...] = ()
    error: str | None = None


class Plugins:
    """The loaded plugins.

    A plugin that cannot be loaded is listed with its `error`; one that raises while answering is
    logged once per hook, and the others still answer.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("agenttrace")
        self._manager.add_hookspecs(hookspecs)
        self._infos: list[PluginInfo] = []
        self._logged: set[tuple[str, str]] = set()

    @property
    def infos(self) -> tuple[PluginInfo, ...]:
        """Every plugin found, in load order, broken ones included."""
        return tuple(self._infos)

    def register(self, plugin: object, name: str, package: str = "", version: str = "") -> None:
        """Add a plugin (a module or object with hookimpls); record why if it is refused."""
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
        except Exception as error:  # noqa: BLE001 - whatever a plugin does costs only that plugin
            if self._manager.get_plugin(name) is plugin:
                self._manager.unregister(name=name)
            self._broken(name, package, version, error)
            return
        hooks = tuple(sorted(h.name for h in self._manager.get_hookcallers(plugin) or ()))
        self._infos.append(PluginInfo(name, package, version, hooks))

    def load(self) -> "Plugins":
        """Load every plugin installed under the entry-point group `agenttrace`; return self."""
        for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda p: p.name):
            if self._manager.has_plugin(point.name):
                continue
            package = point.dist.name if point.dist else ""
            version = point.dist.version if point.dist else ""
            try:
                plugin = point.load()
            except Exception as error:  # noqa: BLE001 - an import can fail in any way
                self._broken(point.name, package, version, error)
            else:
                self.register(plugin, point.name, package, version)
        return self

    def each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Yield (plugin name, answer) for each plugin that answers something other than None."""
        for impl in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                answer = impl.function(*(arguments[name] for name in impl.argnames))
            except Exception:  # noqa: BLE001 - a raising plugin costs its own answer
                self.complain(impl.plugin_name, hook)
            else:
                if answer is not None:
                    yield impl.plugin_name, answer

    def first(self, hook: str, **arguments: Any) -> Any | None:
        """Return the first answer that is not None, or None if no plugin has one."""
        return next((answer for _, answer in self.each(hook, **arguments)), None)

    def complain(self, plugin: str, where: str) -> None:
        """Log the current exception of a plugin, once per plugin and place."""
        if (plugin, where) not in self._logged:
            self._logged.add((plugin, where))
            log.exception("Plugin %r raised in %s; going on without its answer", plugin, where)

    def _broken(self, name: str, package: str, version: str, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        self._infos.append(PluginInfo(name, package, version, error=reason))
        log.error("Plugin %r (%s %s) cannot be loaded: %s", name, package, version, reason)


def load_plugins() -> Plugins:
    """Return the built-in plugins and every installed one."""
    plugins = Plugins()
    for builtin in (genai, smolagents, custom):
        name = builtin.__name__.rpartition(".")[2]
        plugins.register(builtin, name, _CORE, version(_CORE))
    return plugins.load()
