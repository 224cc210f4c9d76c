"""Replace functions of a framework, and put every one of them back exactly as it was."""

import inspect
import weakref
from collections.abc import Callable, Iterator
from functools import wraps
from types import FunctionType
from typing import Any, TypeAlias

Watch: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Takes the original function and returns the one to call instead."""


class Patches:
    """The replacements made in this process, newest last."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._undo)

    def replace(self, owner: Any, name: str, watch: Watch) -> None:
        """Replace a function of a module or a method of a class; static ones stay static."""
        own = name in vars(owner)
        original = vars(owner)[name] if own else inspect.getattr_static(owner, name)
        setattr(owner, name, _rewrapped(original, watch))
        self._undo.append(lambda: _restore(owner, name, own, original))

    def cover(self, base: type, watches: dict[str, Watch]) -> None:
        """Replace methods in `base` and in every subclass that has its own, also future ones."""
        for cls in {base, *_subclasses(base)}:
            self._cover_class(cls, watches)
        own = "__init_subclass__" in vars(base)
        original = vars(base).get("__init_subclass__")

        def __init_subclass__(cls: type, /, **kwargs: Any) -> None:
            if original is None:
                super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type]
            else:
                original.__func__(cls, **kwargs)
            self._cover_class(cls, watches)

        setattr(base, "__init_subclass__", classmethod(__init_subclass__))  # noqa: B010
        self._undo.append(lambda: _restore(base, "__init_subclass__", own, original))

    def undo(self) -> None:
        """Put everything back, newest first."""
        while self._undo:
            self._undo.pop()()

    def _cover_class(self, cls: type, watches: dict[str, Watch]) -> None:
        for name, watch in watches.items():
            original = vars(cls).get(name)
            # Mocks and the like are called without the instance; a function in their place is not.
            if not isinstance(original, (FunctionType, staticmethod, classmethod)):
                continue
            if getattr(original, "__isabstractmethod__", False):
                continue
            setattr(cls, name, _rewrapped(original, watch))
            self._undo.append(_restorer(weakref.ref(cls), name, original))


def _rewrapped(original: Any, watch: Watch) -> Any:
    if isinstance(original, (staticmethod, classmethod)):
        inner = original.__func__
        return type(original)(wraps(inner)(watch(inner)))
    return wraps(original)(watch(original))


def _restore(owner: Any, name: str, own: bool, original: Any) -> None:
    if own:
        setattr(owner, name, original)
    else:
        delattr(owner, name)


def _restorer(owner: "weakref.ref[type]", name: str, original: Any) -> Callable[[], None]:
    """Put a class's own method back, if the class still exists."""

    def restore() -> None:
        cls = owner()
        if cls is not None:
            setattr(cls, name, original)

    return restore


def _subclasses(base: type) -> Iterator[type]:
    cls: type
    for cls in base.__subclasses__():
        yield cls
        yield from _subclasses(cls)
