"""Do something once a library has been imported, without importing it."""

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class ImportWatch:
    """Calls `then` once, when one of `packages` (top-level names) has been imported completely.

    Completely: not while any module of `packages` is still being executed, because one that is
    half-way cannot be imported from. If one of them is there already, `then` is called at once.
    """

    def __init__(self, packages: Sequence[str], then: Callable[[], None]) -> None:
        self._packages = frozenset(packages)
        self._then = then
        self._running = threading.local()
        self._claim = threading.Lock()
        self._done = False

    def start(self) -> None:
        """Call `then` now if a package is there, else when it comes."""
        _finder.watches = (*_finder.watches, self)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
        if any(package in sys.modules for package in self._packages):
            self._finish()

    def stop(self) -> None:
        """Watch no longer."""
        _finder.watches = tuple(watch for watch in _finder.watches if watch is not self)
        if not _finder.watches and _finder in sys.meta_path:
            sys.meta_path.remove(_finder)

    def covers(self, module: str) -> bool:
        """Whether the module belongs to one of the packages."""
        return module.partition(".")[0] in self._packages

    def execute(self, run: Callable[[], None]) -> None:
        """Run a module's code; when it was the outermost of the packages, they are complete."""
        depth = getattr(self._running, "depth", 0)
        self._running.depth = depth + 1
        try:
            run()
        finally:
            self._running.depth = depth
        if depth == 0:
            self._finish()

    def _finish(self) -> None:
        with self._claim:
            first, self._done = not self._done, True
        self.stop()
        if first:
            self._then()


class _Finder(MetaPathFinder):
    """Finds what the other finders find, and has the watches around when it is executed."""

    watches: tuple[ImportWatch, ...] = ()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        watches = [watch for watch in self.watches if watch.covers(fullname)]
        if not watches:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                # A namespace package has no loader: its first module says that it is there.
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _WatchedLoader(spec.loader, watches)
                return spec
        return None


class _WatchedLoader(Loader):
    """Stands in for a module's loader until the module is executed."""

    def __init__(self, loader: Any, watches: list[ImportWatch]) -> None:
        self._loader = loader
        self._watches = watches

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        # The module must see its own loader: resources and inspect.getsource ask for it.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader

        def run() -> None:
            self._loader.exec_module(module)

        for watch in self._watches:
            run = _around(watch, run)
        run()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _around(watch: ImportWatch, run: Callable[[], None]) -> Callable[[], None]:
    return lambda: watch.execute(run)


_finder = _Finder()
