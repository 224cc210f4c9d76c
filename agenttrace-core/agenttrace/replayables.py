"""What a worker of this process can run again: names and what they stand for.

`replayable("support-bot", graph)` only notes it down. `agenttrace worker MODULE` imports the module
and offers the server what it finds here.
"""

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from agenttrace.models import Instrumentor

T = TypeVar("T")

CUSTOM = "agenttrace"
"""The framework of agents written by hand and recorded with `AgentTracer`."""


class Replayable(msgspec.Struct, frozen=True):
    """One thing that can be run again; `framework` is None where it has to be found out."""

    name: str
    target: Any
    framework: str | None = None


_registered: dict[str, Replayable] = {}


def replayable(name: str, target: T, framework: str | None = None) -> T:
    """Let workers run `target` again under this name; return it unchanged.

    `target` is what the executor of its framework resumes: a compiled graph; a function without
    parameters that makes a fresh team, crew or flow; or, for agents of your own, a function that
    takes a checkpoint's state and the `Replay`. `framework` is found out where it is not given.
    A name that is given again stands for the newer target.

    Raises ValueError for an empty name, TypeError for a target of None.
    """
    if not name.strip():
        raise ValueError("replayable() needs a name by which people know the application")
    if target is None:
        raise TypeError(f"replayable({name!r}, None): pass the graph, the factory or the function")
    _registered[name] = Replayable(name, target, framework)
    return target


def replayables() -> Mapping[str, Replayable]:
    """Return what has been made replayable in this process, by name."""
    return dict(_registered)


def has_custom() -> bool:
    """Return whether a function that resumes agents written by hand has been made replayable."""
    return any(
        found.framework == CUSTOM
        or (
            found.framework is None
            and inspect.isroutine(found.target)
            and _takes_parameters(found.target)
        )
        for found in list(_registered.values())
    )


def framework_of(found: Replayable, instrumentors: Iterable[Instrumentor]) -> str | None:
    """Return the framework of a target, asking what each plugin captures; None if none knows it.

    A function that takes parameters is the user's own way to resume (`CUSTOM`). One without is a
    factory: told by its return annotation, else by calling it, whose errors are the caller's.
    """
    if found.framework:
        return found.framework
    modules = {
        module: instrumentor.framework
        for instrumentor in instrumentors
        for module in getattr(instrumentor, "modules", None) or (instrumentor.module,)
    }
    target = found.target
    if known := _by_type(target if isinstance(target, type) else type(target), modules):
        return known
    if not callable(target):
        return None
    if _takes_parameters(target):
        return CUSTOM
    return _by_annotation(target, modules) or _by_type(_made_by(target), modules)


def _by_type(kind: type, modules: Mapping[str, str]) -> str | None:
    for each in kind.__mro__:
        if known := modules.get(each.__module__.partition(".")[0]):
            return known
    return None


def _takes_parameters(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is p.empty for p in parameters)


def _by_annotation(function: Callable[..., Any], modules: Mapping[str, str]) -> str | None:
    try:
        annotation = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):  # a name only type checkers see
        return None
    kind = typing.get_origin(annotation) or annotation
    return _by_type(kind, modules) if isinstance(kind, type) else None


def _made_by(factory: Callable[..., Any]) -> type:
    made = factory()
    if inspect.isawaitable(made):
        import asyncio

        async def wait() -> Any:
            return await made

        made = asyncio.run(wait())
    return type(made)
