"""Run a Python script or module as if it had been started by `python`."""

import builtins
import io
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType, TracebackType
from typing import Any


class Script:
    """A program to run as `__main__`: found and compiled here, run by `run`.

    Raises OSError or ImportError, with the reason, if there is no such program.
    """

    def __init__(self, target: str, arguments: list[str], *, module: bool = False) -> None:
        self.arguments = arguments
        self._spec: ModuleSpec | None = None
        if module:
            self._spec = _module(target)
            self.path = self._spec.origin or target
            self.folder = os.getcwd()
            self.name = target.rpartition(".")[2]
        else:
            inside = os.path.join(target, "__main__.py")
            self.path = inside if os.path.isdir(target) else target
            self.folder = os.path.dirname(os.path.abspath(self.path))
            self.name = os.path.splitext(os.path.basename(os.path.abspath(target)))[0]
            with open(self.path, "rb"):
                pass

    def prepare(self) -> None:
        """Give the process the program's own `sys.argv` and `sys.path`."""
        sys.argv[:] = [self.path, *self.arguments]
        if not sys.flags.safe_path:
            sys.path[:1] = [self.folder]
        sys.excepthook = sys.__excepthook__

    def run(self) -> int:
        """Run it to its end; return its exit code, having printed what Python would print."""
        try:
            main = ModuleType("__main__")
            main.__dict__.update(
                __file__=self.path,
                __builtins__=builtins,
                __spec__=self._spec,
                __package__=self._spec.parent if self._spec else None,
                __loader__=self._spec.loader if self._spec else None,
                __cached__=None,
            )
            sys.modules["__main__"] = main
            exec(self._code(), main.__dict__)
        except SystemExit as stop:
            return _exit_code(stop)
        except BaseException as error:  # noqa: BLE001 - Python's own top level does this
            error.__traceback__ = _own(error.__traceback__)
            sys.excepthook(type(error), error, error.__traceback__)
            return 130 if isinstance(error, KeyboardInterrupt) else 1
        return 0

    def _code(self) -> CodeType:
        if self._spec is not None:
            loader: Any = self._spec.loader
            code: CodeType = loader.get_code(self._spec.name)
            return code
        with io.open_code(os.path.abspath(self.path)) as file:
            return compile(file.read(), self.path, "exec", dont_inherit=True)


def _module(name: str) -> ModuleSpec:
    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = find_spec(f"{name}.__main__")
        if spec is None:
            raise ImportError(f"No module named {name}.__main__; {name!r} cannot be executed")
    if spec is None or not hasattr(spec.loader, "get_code"):
        raise ImportError(f"No module named {name}")
    return spec


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code
    print(stop.code, file=sys.stderr)  # noqa: T201 - as Python does
    return 1


def _own(traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the frames of this file."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback
